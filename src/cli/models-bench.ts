import pino from "pino";
import type { Catalog, CatalogModel } from "../domain/catalog.ts";
import type { LocalModel } from "../domain/model.ts";
import { STAGES, type Stage } from "../domain/stage.ts";
import { startEngine } from "../engine/engine-process.ts";
import { Failure } from "../errors.ts";
import { formatBytes } from "../lib/words.ts";
import { type Figures, storeMeasurements } from "../models/measurements.ts";
import { downloadedModel, storedState } from "../models/model-folder.ts";
import { NO_ENGINE } from "../models/no-engine.ts";
import { estimated, probeSpeed } from "../models/speed-probe.ts";
import { type TrialEngine, tryModel } from "../models/trial.ts";
import { type Verdict, verdictOn, voiceToVoiceMs } from "../models/verdict.ts";
import type { Program } from "./serve.ts";

export interface ModelsBenchOptions {
  program: Program;
  variables: NodeJS.ProcessEnv;
  catalog: Catalog;
  /** The one of the models. */
  folder: string;
  /** None: all that are downloaded, or what all would do where none is. */
  ids: readonly string[];
  json: boolean;
  signal: AbortSignal;
}

/** A row of the table. */
interface Row {
  id: string;
  stage: Stage;
  /** Whether it was estimated by a quick probe, since the model is not downloaded. */
  estimated: boolean;
  figures: Figures & { loadMs?: number };
  verdict: Verdict;
  /** Why it could not be measured. */
  problem?: string;
}

/** A recogniser hears what a voice said, so voices are measured first. */
const ORDER: readonly Stage[] = ["tts", "stt", "llm"];

/**
 * `parley models bench`: measures downloaded models with the engine, one after the other, stores the
 * figures, and says what they mean for a conversation. Models that are not there are estimated.
 *
 * @returns the exit code: 1 if a model could not be measured
 * @throws Failure when nothing can be measured
 */
export async function benchModels(options: ModelsBenchOptions): Promise<number> {
  const { catalog, folder, ids, json, program } = options;
  if (program.resources.engine === undefined) throw new Failure("unavailable", NO_ENGINE);
  const isPresent = (model: CatalogModel) => storedState(folder, model).state === "present";
  const named = catalog.filter(({ id }) => ids.includes(id));
  const present = catalog.filter(isPresent);
  const chosen = named.length > 0 ? named : present.length > 0 ? present : catalog;
  const here = chosen.filter(isPresent);
  const absent = chosen.filter((model) => !here.includes(model));
  const rows = [...(await measured(here, options)), ...(await estimates(absent))];
  rows.sort((a, b) => STAGES.indexOf(a.stage) - STAGES.indexOf(b.stage));
  const voiceToVoice = bestVoiceToVoice(rows);
  if (json) {
    const report = { folder, models: rows, ...(voiceToVoice && { voiceToVoice }) };
    process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  } else {
    process.stdout.write(tableOf(rows));
    if (voiceToVoice) process.stdout.write(inWords(voiceToVoice));
  }
  return rows.some(({ problem }) => problem !== undefined) ? 1 : 0;
}

async function measured(
  models: readonly CatalogModel[],
  { program, variables, folder, signal }: ModelsBenchOptions,
): Promise<Row[]> {
  const rows: Row[] = [];
  let speech: Uint8Array<ArrayBuffer> | undefined;
  for (const model of models.toSorted((a, b) => ORDER.indexOf(a.stage) - ORDER.indexOf(b.stage))) {
    const { id, stage } = model;
    process.stderr.write(`measuring ${id} …\n`);
    try {
      const local = downloadedModel(folder, stage, model);
      await using engine = trialEngine(program, variables, folder, local);
      const trial = await tryModel(engine, stage, { speech, signal });
      speech ??= trial.speech;
      storeMeasurements(folder, { [id]: trial.measurement });
      const { measuredAt: _, ...figures } = trial.measurement;
      rows.push({ id, stage, estimated: false, figures, verdict: verdictOn(stage, figures) });
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof Failure)) throw error;
      const problem = noSpeech(stage, speech) ?? error.message;
      rows.push({
        id,
        stage,
        estimated: false,
        figures: {},
        verdict: verdictOn(stage, {}),
        problem,
      });
    }
  }
  return rows;
}

function noSpeech(stage: Stage, speech: Uint8Array | undefined): string | undefined {
  if (stage !== "stt" || speech) return undefined;
  return "It needs speech to hear: download a voice and measure both.";
}

async function estimates(models: readonly CatalogModel[]): Promise<Row[]> {
  if (models.length === 0) return [];
  const speed = await probeSpeed();
  return models.map((model) => {
    const figures = estimated(model, speed);
    const { id, stage } = model;
    return { id, stage, estimated: true, figures, verdict: verdictOn(stage, figures) };
  });
}

/** An engine in a process of its own, with the settings that Parley's would have. */
function trialEngine(
  { command }: Program,
  variables: NodeJS.ProcessEnv,
  folder: string,
  model: LocalModel,
): TrialEngine & AsyncDisposable {
  const engine = startEngine({
    command: [...command, "engine"],
    variables,
    folder,
    keepAliveMs: 0,
    logger: pino({ level: "silent" }),
  });
  engine.use([model]);
  const { stage } = model;
  return {
    id: model.id,
    get baseURL() {
      return engine.serverOf(stage).baseURL;
    },
    get apiKey() {
      return engine.serverOf(stage).apiKey;
    },
    ready: () => engine.ready([stage]),
    memory: async () => engine.state()[0]?.residentBytes,
    [Symbol.asyncDispose]: () => engine[Symbol.asyncDispose](),
  };
}

interface VoiceToVoice {
  ms: number;
  models: Record<Stage, string>;
}

/** Of the models in the table, those that answer soonest together. */
function bestVoiceToVoice(rows: readonly Row[]): VoiceToVoice | undefined {
  const of = (stage: Stage) => rows.filter((row) => row.stage === stage);
  const all = of("stt").flatMap((stt) =>
    of("llm").flatMap((llm) =>
      of("tts").flatMap((tts) => {
        const ms = voiceToVoiceMs({ stt: stt.figures, llm: llm.figures, tts: tts.figures });
        return ms === undefined ? [] : [{ ms, models: { stt: stt.id, llm: llm.id, tts: tts.id } }];
      }),
    ),
  );
  return all.toSorted((a, b) => a.ms - b.ms)[0];
}

function inWords({ ms, models }: VoiceToVoice): string {
  const names = STAGES.map((stage) => models[stage]).join(", ");
  return `\nAbout ${(ms / 1000).toFixed(1)} s from the end of your words to the agent's voice with ${names}.\n`;
}

function tableOf(rows: readonly Row[]): string {
  const width = Math.max(0, ...rows.map(({ id }) => id.length));
  const lines = rows.map((row) =>
    [row.stage, row.id.padEnd(width), factsOf(row).padEnd(FACTS_WIDTH), saidOf(row)].join("  "),
  );
  return `${lines.join("\n")}\n`;
}

const FACTS_WIDTH = 58;

function factsOf({ figures, estimated }: Row): string {
  const rounded = (value: number) => value.toFixed(value < 10 ? 1 : 0);
  const facts = [
    figures.promptTokensPerSecond && `reads ${rounded(figures.promptTokensPerSecond)}/s`,
    figures.generationTokensPerSecond && `writes ${rounded(figures.generationTokensPerSecond)}/s`,
    figures.realTimeFactor && `${Math.round(100 * figures.realTimeFactor)} % of real time`,
    figures.loadMs && `loads in ${(figures.loadMs / 1000).toFixed(1)} s`,
    figures.memory && formatBytes(figures.memory),
  ].filter((fact) => typeof fact === "string");
  return `${estimated && facts.length > 0 ? "about " : ""}${facts.join(", ") || "–"}`;
}

function saidOf({ verdict, problem }: Row): string {
  return problem ?? `${verdict.grade}: ${verdict.words}`;
}
