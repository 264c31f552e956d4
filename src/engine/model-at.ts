import { readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { LocalModel, ModelStage } from "../domain/model.ts";
import { Failure } from "../errors.ts";
import { readOnnxFile } from "./onnx-file.ts";

/**
 * The model at a path: a .gguf file, or a folder that is judged by the names of its files.
 *
 * @param id what requests name the model by
 * @throws Failure that says what was looked for
 */
export async function modelAt(stage: ModelStage, path: string, id: string): Promise<LocalModel> {
  const absolute = resolve(path);
  const found = await stat(absolute).catch(() => undefined);
  if (!found) throw new Failure("not_found", `there is nothing at ${absolute}`);
  const names = found.isDirectory() ? (await readdir(absolute)).sort() : [];
  const file = (pattern: RegExp) => {
    // The smaller of two forms of a network is the one for processors.
    const fitting = names.filter((name) => pattern.test(name));
    const name = fitting.find((one) => one.includes("int8")) ?? fitting[0];
    return name === undefined ? undefined : join(absolute, name);
  };
  const model = found.isDirectory()
    ? await { stt: recogniserIn, llm: chatModelIn, tts: voiceIn }[stage](file, id)
    : stage === "llm"
      ? ({ stage, id, kind: "gguf", model: absolute } satisfies LocalModel)
      : undefined;
  if (model) return model;
  throw new Failure("invalid", `${absolute} is no model for ${stage}: ${EXPECTED[stage]}`);
}

const EXPECTED: Record<ModelStage, string> = {
  stt: "expected a folder with tokens.txt, and encoder and decoder as .onnx or .ort",
  llm: "expected a .gguf file, or a folder with one",
  tts: "expected a folder with tokens.txt, espeak-ng-data and a voice as .onnx",
};

type FindFile = (pattern: RegExp) => string | undefined;

async function recogniserIn(file: FindFile, id: string): Promise<LocalModel | undefined> {
  const tokens = file(/tokens\.txt$/);
  const encoder = file(/encoder.*\.(onnx|ort)$/);
  const decoder = file(/decoder.*\.(onnx|ort)$/);
  const mergedDecoder = file(/decoder.*merged.*\.(onnx|ort)$/);
  const joiner = file(/joiner.*\.onnx$/);
  if (!tokens || !encoder || !decoder) return undefined;
  const common = { stage: "stt", id, encoder, tokens } as const;
  if (mergedDecoder) return { ...common, kind: "moonshine", mergedDecoder };
  if (!joiner) return { ...common, kind: "whisper", decoder };
  const { properties } = await readOnnxFile(encoder);
  // NeMo's models are named after its classes; those that stream are exported with a chunk's size.
  const nemo =
    /^EncDec/.test(properties.get("model_type") ?? "EncDec") && !properties.has("chunk_shift");
  const kind = nemo ? "nemo-transducer" : "streaming-transducer";
  return { ...common, kind, decoder, joiner };
}

function chatModelIn(file: FindFile, id: string): LocalModel | undefined {
  const model = file(/\.gguf$/);
  return model ? { stage: "llm", id, kind: "gguf", model } : undefined;
}

function voiceIn(file: FindFile, id: string): LocalModel | undefined {
  const tokens = file(/tokens\.txt$/);
  const phonemes = file(/^espeak-ng-data$/);
  const model = file(/\.onnx$/);
  const voices = file(/voices.*\.bin$/);
  if (!tokens || !phonemes || !model) return undefined;
  const common = { stage: "tts", id, model, tokens, phonemes } as const;
  return voices ? { ...common, kind: "kokoro", voices } : { ...common, kind: "piper" };
}
