import { join } from "node:path";
import { type LocalModel, MODEL_KINDS, type ModelKind } from "../domain/model.ts";
import type { Stage } from "../domain/stage.ts";
import { Failure } from "../errors.ts";

/** Files of a model: its folder and their paths in it, with forward slashes. */
export interface ModelFiles {
  id: string;
  folder: string;
  paths: readonly string[];
}

/**
 * The model that these files make up.
 *
 * @throws Failure when the kind is unknown or a file is missing
 */
export function modelFromFiles(stage: Stage, kind: string, files: ModelFiles): LocalModel {
  const kinds = kindsOf(stage);
  const known = kinds.find((one) => one === kind);
  if (known === undefined) {
    throw new Failure(
      "invalid",
      `${files.id} has the kind "${kind}"; known are ${kinds.join(", ")}`,
    );
  }
  const found = Object.entries(MODEL_KINDS[known].parts).map(([part, { pattern, format }]) => {
    const path = bestMatch(files.paths, pattern);
    if (path === undefined) {
      throw new Failure("not_found", `${files.id} has no file for its ${part} in ${files.folder}`);
    }
    const wanted = format === "phonemes" ? path.slice(0, -"/phontab".length) : path;
    return [part, join(files.folder, wanted)];
  });
  // The table has the same parts for each kind as its type.
  return { stage, kind, id: files.id, ...Object.fromEntries(found) } as LocalModel;
}

function kindsOf(stage: Stage): ModelKind[] {
  const kinds = Object.keys(MODEL_KINDS) as ModelKind[];
  return kinds.filter((kind) => MODEL_KINDS[kind].stage === stage);
}

/** Of several matches the quantised one, which is faster and as good here; else the shortest. */
function bestMatch(paths: readonly string[], pattern: RegExp): string | undefined {
  const matching = paths.filter((path) => pattern.test(path));
  const rank = (path: string) => (/int8|quant/.test(path) ? 0 : 1000) + path.length;
  return matching.toSorted((a, b) => rank(a) - rank(b))[0];
}

/**
 * The kind of model that files make up, judged by their names.
 *
 * @param folder its name tells streaming transducers from others
 * @returns undefined when they are no model of this stage
 */
export function kindOf(
  stage: Stage,
  folder: string,
  paths: readonly string[],
): ModelKind | undefined {
  const has = (pattern: RegExp) => paths.some((path) => pattern.test(path));
  if (stage === "llm") return has(MODEL_KINDS.gguf.parts.model.pattern) ? "gguf" : undefined;
  if (!has(MODEL_KINDS.whisper.parts.tokens.pattern)) return undefined;
  if (stage === "tts") {
    if (!has(MODEL_KINDS.piper.parts.model.pattern)) return undefined;
    return has(MODEL_KINDS.kokoro.parts.voices.pattern) ? "kokoro" : "piper";
  }
  if (has(/decoder.*merged/)) return "moonshine";
  if (!has(/joiner/)) {
    return has(MODEL_KINDS.whisper.parts.decoder.pattern) ? "whisper" : undefined;
  }
  const names = [folder, ...paths].join("\n");
  return /nemo|parakeet|tdt/i.test(names) ? "nemo-transducer" : "streaming-transducer";
}
