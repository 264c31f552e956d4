import { z } from "zod";
import type { Stage } from "./stage.ts";

const path = z.string().min(1);
const transducer = { encoder: path, decoder: path, joiner: path, tokens: path };

function kind<S extends Stage, K extends string, P extends z.ZodRawShape>(
  stage: S,
  name: K,
  parts: P,
) {
  return z.object({ stage: z.literal(stage), id: z.string(), kind: z.literal(name), ...parts });
}

/** Kinds of speech recognition model. Only a streaming one gives interim results at no extra cost. */
const STT_KINDS = [
  kind("stt", "moonshine", { encoder: path, mergedDecoder: path, tokens: path }),
  kind("stt", "whisper", { encoder: path, decoder: path, tokens: path }),
  kind("stt", "streaming-transducer", transducer),
  kind("stt", "nemo-transducer", transducer),
] as const;
const LLM_KIND = kind("llm", "gguf", { model: path });
/** Kinds of voice. `phonemes` is the folder of espeak-ng's data. */
const TTS_KINDS = [
  kind("tts", "piper", { model: path, tokens: path, phonemes: path }),
  kind("tts", "kokoro", { model: path, voices: path, tokens: path, phonemes: path }),
] as const;

/**
 * A model whose files are on this machine, as the engine loads it. Its kind decides which parts it
 * has, each an absolute path; `id` is what requests name it by.
 */
export const localModel = z.discriminatedUnion("kind", [...STT_KINDS, LLM_KIND, ...TTS_KINDS]);
export type LocalModel = z.infer<typeof localModel>;
export type LocalSttModel = Extract<LocalModel, { stage: "stt" }>;
export type LocalLlmModel = Extract<LocalModel, { stage: "llm" }>;
export type LocalTtsModel = Extract<LocalModel, { stage: "tts" }>;

export type ModelKind = LocalModel["kind"];

/** A file that a kind of model consists of. */
export interface ModelPart {
  /** Its path in the model's folder, as sherpa-onnx and llama.cpp publish it. */
  pattern: RegExp;
  format: "onnx" | "gguf" | "tokens" | "voices" | "phonemes";
  /** Metadata of an .onnx file without which sherpa-onnx ends the process. */
  properties?: readonly string[];
}

type Parts<K extends ModelKind> = Exclude<
  keyof Extract<LocalModel, { kind: K }>,
  "stage" | "id" | "kind"
>;
type Kinds = {
  [K in ModelKind]: {
    stage: Extract<LocalModel, { kind: K }>["stage"];
    parts: Readonly<Record<Parts<K>, ModelPart>>;
  };
};

const onnx = (pattern: RegExp, ...properties: string[]): ModelPart => ({
  pattern,
  format: "onnx",
  properties,
});
const ENCODER = /encoder.*\.onnx$/;
const DECODER = onnx(/decoder.*\.onnx$/);
const JOINER = onnx(/joiner.*\.onnx$/);
const TOKENS: ModelPart = { pattern: /(^|[/-])tokens\.txt$/, format: "tokens" };
/** The file that identifies a folder of espeak-ng's data. */
const PHONEMES: ModelPart = { pattern: /(^|\/)phontab$/, format: "phonemes" };
const VOICES: ModelPart = { pattern: /voices\.bin$/, format: "voices" };

/** The files of each kind of model. How a kind is loaded: `src/engine/recogniser.ts`, `voice.ts`. */
export const MODEL_KINDS: Readonly<Kinds> = {
  moonshine: {
    stage: "stt",
    parts: {
      encoder: onnx(/encoder.*\.(ort|onnx)$/),
      mergedDecoder: onnx(/decoder.*merged.*\.(ort|onnx)$/),
      tokens: TOKENS,
    },
  },
  whisper: {
    stage: "stt",
    parts: { encoder: onnx(ENCODER, "n_mels", "n_vocab"), decoder: DECODER, tokens: TOKENS },
  },
  "streaming-transducer": {
    stage: "stt",
    parts: {
      encoder: onnx(ENCODER, "model_type"),
      decoder: DECODER,
      joiner: JOINER,
      tokens: TOKENS,
    },
  },
  "nemo-transducer": {
    stage: "stt",
    parts: {
      encoder: onnx(ENCODER, "vocab_size"),
      decoder: DECODER,
      joiner: JOINER,
      tokens: TOKENS,
    },
  },
  gguf: { stage: "llm", parts: { model: { pattern: /\.gguf$/, format: "gguf" } } },
  piper: {
    stage: "tts",
    parts: {
      model: onnx(/\.onnx$/, "sample_rate", "n_speakers"),
      tokens: TOKENS,
      phonemes: PHONEMES,
    },
  },
  kokoro: {
    stage: "tts",
    parts: {
      model: onnx(/\.onnx$/, "sample_rate", "n_speakers", "style_dim", "has_espeak"),
      voices: VOICES,
      tokens: TOKENS,
      phonemes: PHONEMES,
    },
  },
};

/**
 * Runs local models for speech recognition, language and speech synthesis, behind OpenAI's HTTP API
 * on loopback.
 */
export interface Engine extends AsyncDisposable {
  /** In the form of `OPENAI_BASE_URL`; it stays the same when the engine restarts. */
  readonly baseURL: string;
  readonly apiKey: string;
  /** How often it was started again, where it is a process. */
  readonly restarts?: number;
  /** Resolves when it can serve; starts the child process if needed. @throws Failure */
  ready(): Promise<void>;
  /** Replaces the models it serves, without aborting running requests. */
  use(models: readonly LocalModel[]): void;
}
