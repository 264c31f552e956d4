import { join } from "node:path";
import { type LocalModel, MODEL_KINDS, type ModelKind, type ModelPart } from "../domain/model.ts";
import type { Stage } from "../domain/stage.ts";
import { Failure } from "../errors.ts";
import { readOnnxFile } from "../lib/onnx-file.ts";

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
  const found = Object.entries(MODEL_KINDS[known].parts).flatMap(([part, wanted]) => {
    const matching = matchesOf(files.paths, wanted);
    if (matching.length === 0 && !wanted.optional) {
      throw new Failure("not_found", `${files.id} has no file for its ${part} in ${files.folder}`);
    }
    const absolute = matching.map((path) => join(files.folder, path));
    const value = wanted.many ? absolute : absolute[0];
    return matching.length === 0 ? [] : [[part, value] as const];
  });
  // The table has the same parts for each kind as its type.
  return { stage, kind, id: files.id, ...Object.fromEntries(found) } as LocalModel;
}

function kindsOf(stage: Stage): ModelKind[] {
  const kinds = Object.keys(MODEL_KINDS) as ModelKind[];
  return kinds.filter((kind) => MODEL_KINDS[kind].stage === stage);
}

/**
 * The paths of a part, the best first: the quantised one, which is faster and as good here, else
 * the shortest. Of espeak-ng's data it is the folder.
 */
function matchesOf(paths: readonly string[], { pattern, format, many }: ModelPart): string[] {
  const matching = paths.filter((path) => pattern.test(path));
  if (many) return matching.toSorted();
  const rank = (path: string) => (/int8|quant/.test(path) ? 0 : 1000) + path.length;
  const best = matching.toSorted((a, b) => rank(a) - rank(b));
  return format === "phonemes" ? best.map((path) => path.replace(/\/?phontab$/, "")) : best;
}

/**
 * The kind of model that files make up, judged by their names and, for recognisers, by what their
 * network says of itself.
 *
 * @returns undefined when they are no model of this stage
 */
export function kindOf(
  stage: Stage,
  folder: string,
  paths: readonly string[],
): ModelKind | undefined {
  const has = (pattern: RegExp) => paths.some((path) => pattern.test(path));
  if (stage === "llm") return has(MODEL_KINDS.gguf.parts.model.pattern) ? "gguf" : undefined;
  if (stage === "tts") return kindOfVoice(folder, paths);
  if (!has(MODEL_KINDS.whisper.parts.tokens.pattern)) return undefined;
  if (has(/decoder.*merged/)) return "moonshine";
  return recogniserKind(folder, paths);
}

/** The kind of a recogniser of sherpa-onnx, by the metadata of its main network. */
function recogniserKind(folder: string, paths: readonly string[]): ModelKind | undefined {
  const [encoder] = matchesOf(paths, MODEL_KINDS.transducer.parts.encoder);
  const main = encoder ?? matchesOf(paths, MODEL_KINDS["nemo-ctc"].parts.model)[0];
  if (main === undefined) return undefined;
  const { properties } = readOnnxFile(join(folder, main));
  const type = properties.get("model_type") ?? "";
  // Only networks that take their audio in pieces say how long a piece is.
  const streams = properties.has("decode_chunk_len") || properties.has("chunk_shift");
  const isNemo = /^EncDec/.test(type) || properties.has("pred_hidden");
  if (encoder === undefined) {
    if (properties.has("lfr_window_size") && properties.has("lang_auto")) return "sense-voice";
    if (streams) return "streaming-ctc";
    if (isNemo) return "nemo-ctc";
    return type.includes("zipformer") ? "zipformer-ctc" : undefined;
  }
  if (paths.some((path) => MODEL_KINDS.transducer.parts.joiner.pattern.test(path))) {
    if (streams) return "streaming-transducer";
    return isNemo ? "nemo-transducer" : "transducer";
  }
  return type === "EncDecMultiTaskModel" ? "canary" : "whisper";
}

function kindOfVoice(folder: string, paths: readonly string[]): ModelKind | undefined {
  const has = (pattern: RegExp) => paths.some((path) => pattern.test(path));
  const { supertonic, pocket, zipvoice, kokoro, piper } = MODEL_KINDS;
  if (has(supertonic.parts.durationPredictor.pattern)) return "supertonic";
  if (has(pocket.parts.lmFlow.pattern)) return "pocket";
  if (!has(piper.parts.tokens.pattern) || !has(piper.parts.model.pattern)) return undefined;
  if (has(kokoro.parts.voices.pattern)) {
    const [network = ""] = matchesOf(paths, kokoro.parts.model);
    const type = readOnnxFile(join(folder, network)).properties.get("model_type");
    return type === "kitten-tts" ? "kitten" : "kokoro";
  }
  if (has(zipvoice.parts.encoder.pattern) && has(zipvoice.parts.decoder.pattern)) return "zipvoice";
  return has(zipvoice.parts.vocoder.pattern) ? "matcha" : "piper";
}
