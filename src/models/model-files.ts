import { join } from "node:path";
import type { LocalModel } from "../domain/model.ts";
import type { Stage } from "../domain/stage.ts";
import { Failure } from "../errors.ts";

/** Files of a model: its folder and their paths in it, with forward slashes. */
export interface ModelFiles {
  id: string;
  folder: string;
  paths: readonly string[];
}

const TOKENS = /(^|[/-])tokens\.txt$/;
const TRANSDUCER = {
  encoder: /encoder.*\.onnx$/,
  decoder: /decoder.*\.onnx$/,
  joiner: /joiner.*\.onnx$/,
};
/** A file by which the folder of espeak-ng's data is known. */
const PHONEMES = /(^|\/)phontab$/;

/** What each kind is made of, by the names that sherpa-onnx and llama.cpp publish them under. */
const KINDS: Readonly<Record<Stage, Readonly<Record<string, Record<string, RegExp>>>>> = {
  stt: {
    moonshine: {
      encoder: /encoder.*\.(ort|onnx)$/,
      mergedDecoder: /decoder.*merged.*\.(ort|onnx)$/,
      tokens: TOKENS,
    },
    whisper: { encoder: /encoder.*\.onnx$/, decoder: /decoder.*\.onnx$/, tokens: TOKENS },
    "streaming-transducer": { ...TRANSDUCER, tokens: TOKENS },
    "nemo-transducer": { ...TRANSDUCER, tokens: TOKENS },
  },
  llm: { gguf: { model: /\.gguf$/ } },
  tts: {
    piper: { model: /\.onnx$/, tokens: TOKENS, phonemes: PHONEMES },
    kokoro: { model: /\.onnx$/, voices: /voices\.bin$/, tokens: TOKENS, phonemes: PHONEMES },
  },
};

/**
 * The model that these files make.
 * @throws Failure when the kind is unknown or a file is missing
 */
export function localModel(stage: Stage, kind: string, files: ModelFiles): LocalModel {
  const parts = Object.hasOwn(KINDS[stage], kind) ? KINDS[stage][kind] : undefined;
  if (!parts) {
    const known = Object.keys(KINDS[stage]).join(", ");
    throw new Failure("invalid", `${files.id} is of kind "${kind}", which is none of ${known}`);
  }
  const found = Object.entries(parts).map(([part, pattern]) => {
    const path = pick(files.paths, pattern);
    if (path === undefined) {
      throw new Failure("not_found", `${files.id} has no file for its ${part} in ${files.folder}`);
    }
    const wanted = part === "phonemes" ? path.slice(0, -"/phontab".length) : path;
    return [part, join(files.folder, wanted)];
  });
  // The table above has the parts of each kind that its type names.
  return { stage, kind, id: files.id, ...Object.fromEntries(found) } as LocalModel;
}

/** Of several that fit the quantised one, which is as good here and quicker; else the shortest. */
function pick(paths: readonly string[], pattern: RegExp): string | undefined {
  const fitting = paths.filter((path) => pattern.test(path));
  const rank = (path: string) => (/int8|quant/.test(path) ? 0 : 1000) + path.length;
  return fitting.toSorted((a, b) => rank(a) - rank(b))[0];
}

/**
 * The kind of model that files make, judged by their names.
 *
 * @param folder its name tells streaming transducers from others
 * @returns undefined when they make none of this stage
 */
export function kindOf(stage: Stage, folder: string, paths: readonly string[]): string | undefined {
  const has = (pattern: RegExp) => paths.some((path) => pattern.test(path));
  if (stage === "llm") return has(/\.gguf$/) ? "gguf" : undefined;
  if (!has(TOKENS)) return undefined;
  if (stage === "tts") {
    if (!has(/\.onnx$/)) return undefined;
    return has(/voices\.bin$/) ? "kokoro" : "piper";
  }
  if (has(/decoder.*merged/)) return "moonshine";
  if (!has(/joiner/)) return has(/decoder.*\.onnx$/) ? "whisper" : undefined;
  const names = [folder, ...paths].join("\n");
  return /nemo|parakeet|tdt/i.test(names) ? "nemo-transducer" : "streaming-transducer";
}
