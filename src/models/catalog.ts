import { isAbsolute, resolve } from "node:path";
import { z } from "zod";
import { type Catalog, type CatalogModel, catalogModel } from "../domain/catalog.ts";
import { Failure, messageOf } from "../errors.ts";
import { once } from "../lib/lazy.ts";
import { BUILTIN_CATALOG } from "./builtin-catalog.ts";
import { modelFromFiles } from "./model-files.ts";
import { isPublishedByPiper, PIPER_TOKENS } from "./piper-voice.ts";

const TIMEOUT_MS = 10_000;
const MAX_BYTES = 4 * 2 ** 20;

/** The file format of a configured catalogue: `{"models": [...]}`. */
const catalogFile = z.object({ models: z.array(catalogModel).max(500) });

/**
 * The catalogue of models that can be downloaded.
 *
 * @param source `MODELS_CATALOG`: a path or an http(s) URL; undefined for the built-in catalogue
 * @returns a function that reads the catalogue once, and again after a failure
 */
export function catalogSource(source: string | undefined): () => Promise<Catalog> {
  if (source === undefined) return async () => BUILTIN_CATALOG;
  return once(() => readCatalog(source));
}

async function readCatalog(source: string): Promise<Catalog> {
  const text = await textOf(source).catch((error: unknown) => {
    throw new Failure(
      "unavailable",
      `MODELS_CATALOG=${source} cannot be read: ${messageOf(error)}`,
    );
  });
  const invalid = (why: string) =>
    new Failure("invalid", `MODELS_CATALOG=${source} is not a valid model catalogue: ${why}`);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw invalid("it is not JSON");
  }
  const parsed = catalogFile.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw invalid(`${issue?.path.join(".")} ${issue?.message}`);
  }
  const { models } = parsed.data;
  for (const model of models) {
    try {
      modelFromFiles(model.stage, model.kind, { id: model.id, folder: "/", paths: pathsOf(model) });
    } catch (error) {
      throw invalid(messageOf(error));
    }
  }
  const ids = models.map(({ id }) => id);
  const duplicate = ids.find((id, index) => ids.indexOf(id) !== index);
  if (duplicate !== undefined) throw invalid(`it lists ${duplicate} twice`);
  return models;
}

/** The paths of a model's files once it is downloaded. */
export function pathsOf(model: CatalogModel): string[] {
  const made = isPublishedByPiper(model) ? [PIPER_TOKENS] : [];
  return [...model.files.map(({ path }) => path), ...made];
}

async function textOf(source: string): Promise<string> {
  if (!/^https?:\/\//.test(source)) {
    const path = source.startsWith("file://") ? new URL(source) : absolute(source);
    return Bun.file(path).text();
  }
  const response = await fetch(source, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  const text = await response.text();
  if (text.length > MAX_BYTES) throw new Error("it is too large");
  return text;
}

function absolute(path: string): string {
  return isAbsolute(path) ? path : resolve(path);
}
