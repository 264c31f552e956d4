import { join } from "node:path";
import { readConfig } from "../config.ts";
import { bytesOf, type Catalog, type CatalogModel } from "../domain/catalog.ts";
import { canonicalTag } from "../domain/language.ts";
import { STAGES } from "../domain/stage.ts";
import { Failure } from "../errors.ts";
import { throttled } from "../lib/throttled.ts";
import { formatBytes } from "../lib/words.ts";
import { catalogSource } from "../models/catalog.ts";
import {
  downloadModel,
  type ModelDownloadOptions,
  type ModelProgress,
} from "../models/download.ts";
import { thisMachine } from "../models/machine.ts";
import { removeModel, storedState } from "../models/model-folder.ts";
import { type Recommendation, recommend } from "../models/recommend.ts";
import { pullGpu } from "./gpu.ts";
import { benchModels } from "./models-bench.ts";
import type { Program } from "./serve.ts";

const USAGE = `usage: parley models [list [--json]]
       parley models pull ID...|recommended|gpu
       parley models remove ID...
       parley models bench [ID...] [--json]
`;
/** What `pull` calls the library for the GPU, which is no model. */
const GPU = "gpu";
/** What `pull` calls the models that suit this machine. */
const RECOMMENDED = "recommended";
const NOTHING: Recommendation = { models: {}, warning: undefined };
/** The exit code that shells report for a program that Ctrl-C stopped. */
const INTERRUPTED = 130;
const TERMINAL_UPDATE_MS = 100;

/**
 * `parley models`: lists, downloads, removes and measures local models. It may run while Parley runs.
 *
 * @returns the exit code: 0, 1 if a model could not be measured, 2 for wrong arguments, 130 when
 *   Ctrl-C stopped a download or a measurement
 * @throws Failure that says what went wrong
 */
export async function models(
  program: Program,
  variables: NodeJS.ProcessEnv,
  args: readonly string[],
): Promise<number> {
  const [verb = "list", ...rest] = args;
  const json = rest.includes("--json");
  const ids = rest.filter((arg) => arg !== "--json");
  if (!isValid(verb, json, ids)) {
    process.stderr.write(USAGE);
    return 2;
  }
  const { defaultDataDir } = program;
  const config = readConfig(variables, defaultDataDir === undefined ? {} : { defaultDataDir });
  const folder = join(config.dataDir, "models");
  const catalog = await catalogSource(config.modelsCatalog)();
  const recommendation = async () =>
    recommend(catalog, await thisMachine(folder)(), config.language ?? systemLanguage(variables));
  switch (verb) {
    case "pull":
      if (ids.includes(GPU)) await pullGpu(program, variables, config.engine);
      return pull(
        catalog,
        { folder, huggingFace: config.huggingFace },
        ids.filter((id) => id !== GPU),
        // The machine is measured for it, which other downloads need not wait for.
        ids.includes(RECOMMENDED) ? await recommendation() : NOTHING,
      );
    case "remove":
      return remove(catalog, folder, ids);
    case "bench":
      for (const id of ids) findModel(catalog, id);
      return untilStopped("the figures so far are stored", (signal) =>
        benchModels({ program, variables, catalog, folder, ids, json, signal }),
      );
    default:
      return list(catalog, folder, json, await recommendation());
  }
}

function isValid(verb: string, json: boolean, ids: readonly string[]): boolean {
  if (ids.some((id) => id.startsWith("-"))) return false;
  switch (verb) {
    case "list":
      return ids.length === 0;
    case "pull":
    case "remove":
      return !json && ids.length > 0;
    default:
      return verb === "bench";
  }
}

/** The language of the person's system, `de-DE` for `de_DE.UTF-8` (POSIX, section 8.2). */
function systemLanguage({ LC_ALL, LC_MESSAGES, LANG }: NodeJS.ProcessEnv): string {
  const [locale = ""] = (LC_ALL || LC_MESSAGES || LANG || "").split(/[.@]/);
  return canonicalTag(locale.replace("_", "-")) ?? "en";
}

function list(
  catalog: Catalog,
  folder: string,
  json: boolean,
  { models: best, warning }: Recommendation,
): number {
  const rows = catalog
    .toSorted((a, b) => STAGES.indexOf(a.stage) - STAGES.indexOf(b.stage))
    .map((model) => ({
      id: model.id,
      stage: model.stage,
      kind: model.kind,
      size: model.size,
      name: model.name,
      bytes: bytesOf(model),
      memory: model.memory,
      languages: model.languages,
      licence: model.licence,
      licence_url: model.licenceUrl ?? null,
      attribution: model.attribution ?? null,
      voices: model.voices ?? [],
      state: storedState(folder, model).state,
      recommended: best[model.stage]?.id === model.id,
      reason: best[model.stage]?.id === model.id ? best[model.stage]?.reason : null,
    }));
  if (json) {
    const found = { folder, warning: warning ?? null, models: rows };
    process.stdout.write(`${JSON.stringify(found, null, 2)}\n`);
    return 0;
  }
  const width = Math.max(0, ...rows.map(({ id }) => id.length));
  for (const row of rows) {
    const marks = [
      row.state === "present" ? "downloaded" : "",
      row.recommended ? "recommended" : "",
    ];
    const facts = [
      row.stage,
      row.id.padEnd(width),
      formatBytes(row.bytes).padStart(8),
      `${formatBytes(row.memory)} RAM`.padStart(11),
      row.licence,
    ];
    process.stdout.write(`${[...facts, ...marks.filter(Boolean)].join("  ")}\n`);
    if (row.attribution) process.stdout.write(`     ${row.attribution}\n`);
    if (row.reason) process.stdout.write(`     ${row.reason}\n`);
  }
  if (warning) process.stdout.write(`${warning}\n`);
  process.stdout.write(`in ${folder}\n`);
  return 0;
}

function pull(
  catalog: Catalog,
  options: Pick<ModelDownloadOptions, "folder" | "huggingFace">,
  ids: readonly string[],
  { models: best, warning }: Recommendation,
): Promise<number> {
  const recommended = Object.values(best).map(({ id }) => id);
  const wanted = ids.flatMap((id) => (id === RECOMMENDED ? recommended : [id]));
  if (warning) process.stderr.write(`${warning}\n`);
  const chosen = wanted.map((id) => findModel(catalog, id));
  return untilStopped("the next pull resumes this download", async (signal) => {
    for (const model of chosen) {
      const line = progressLine(model);
      await downloadModel(model, {
        ...options,
        signal,
        onProgress: line.update,
        onWait: () =>
          process.stderr.write(`waiting for another process that is downloading ${model.id}\n`),
      }).finally(line.end);
      process.stdout.write(`${model.id}: ${formatBytes(bytesOf(model))}, verified\n`);
    }
    return 0;
  });
}

/** Runs work that Ctrl-C stops. @param after what a person reads then */
async function untilStopped(
  after: string,
  work: (signal: AbortSignal) => Promise<number>,
): Promise<number> {
  const cancel = new AbortController();
  const stop = () => cancel.abort();
  process.once("SIGINT", stop).once("SIGTERM", stop);
  try {
    return await work(cancel.signal);
  } catch (error) {
    if (!cancel.signal.aborted) throw error;
    process.stderr.write(`stopped; ${after}\n`);
    return INTERRUPTED;
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
  }
}

async function remove(catalog: Catalog, folder: string, ids: readonly string[]): Promise<number> {
  for (const { id } of ids.map((id) => findModel(catalog, id))) {
    await removeModel(folder, id).catch((error: unknown) => {
      throw new Failure("conflict", `${id} is being downloaded: stop that first`, { cause: error });
    });
    process.stdout.write(`${id}: removed\n`);
  }
  return 0;
}

function findModel(catalog: Catalog, id: string): CatalogModel {
  const model = catalog.find((entry) => entry.id === id);
  if (model) return model;
  throw new Failure("not_found", `there is no model ${JSON.stringify(id)}: see parley models list`);
}

/** Progress of a download: one line that is overwritten on a terminal, else a line every few seconds. */
function progressLine({ id }: CatalogModel) {
  const terminal = process.stderr.isTTY === true;
  const write = (text: string) => process.stderr.write(terminal ? `\r\x1b[K${text}` : `${text}\n`);
  const report = throttled(write, terminal ? TERMINAL_UPDATE_MS : undefined);
  return {
    update: ({ received, total, bytesPerSecond }: ModelProgress) =>
      report(() => {
        const percent = Math.floor((100 * received) / total);
        return `${id}: ${percent} %, ${formatBytes(received)} of ${formatBytes(total)}, ${formatBytes(bytesPerSecond)}/s`;
      }),
    end: () => {
      if (terminal) process.stderr.write("\r\x1b[K");
    },
  };
}
