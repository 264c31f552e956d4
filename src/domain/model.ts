import { z } from "zod";
import type { Stage } from "./stage.ts";

const path = z.string().min(1);
const paths = z.array(path).min(1);
const transducer = { encoder: path, decoder: path, joiner: path, tokens: path };
const encoderDecoder = { encoder: path, decoder: path, tokens: path };
const oneFile = { model: path, tokens: path };
/** What every recogniser may have besides: noise suppression, and punctuation for bare words. */
const extras = {
  denoiser: path.optional(),
  punctuation: path.optional(),
  punctuationVocabulary: path.optional(),
};

function kind<S extends Stage, K extends string, P extends z.ZodRawShape>(
  stage: S,
  name: K,
  parts: P,
) {
  return z.object({ stage: z.literal(stage), id: z.string(), kind: z.literal(name), ...parts });
}

/**
 * Kinds of speech recognition model. The streaming ones give interim results at no extra cost. What
 * sets them apart is in `src/models/model-files.ts`.
 */
const STT_KINDS = [
  kind("stt", "moonshine", { encoder: path, mergedDecoder: path, tokens: path, ...extras }),
  kind("stt", "whisper", { ...encoderDecoder, ...extras }),
  kind("stt", "canary", { ...encoderDecoder, ...extras }),
  kind("stt", "streaming-transducer", { ...transducer, ...extras }),
  kind("stt", "nemo-transducer", { ...transducer, ...extras }),
  kind("stt", "transducer", { ...transducer, ...extras }),
  kind("stt", "streaming-ctc", { ...oneFile, ...extras }),
  kind("stt", "nemo-ctc", { ...oneFile, ...extras }),
  kind("stt", "zipformer-ctc", { ...oneFile, ...extras }),
  kind("stt", "sense-voice", { ...oneFile, ...extras }),
] as const;
const LLM_KIND = kind("llm", "gguf", { model: path });
/**
 * Kinds of voice. `phonemes` is the folder of espeak-ng's data; `lexicons` are pronunciations and
 * `rules` the readings of numbers and dates, for languages that espeak-ng does not read. Pocket and
 * ZipVoice speak like a recording: `references`, of which ZipVoice needs the words as well, each in
 * a text file of the same name.
 */
const TTS_KINDS = [
  kind("tts", "piper", { model: path, tokens: path, phonemes: path, config: path.optional() }),
  kind("tts", "kokoro", {
    model: path,
    voices: path,
    tokens: path,
    phonemes: path,
    lexicons: paths.optional(),
  }),
  kind("tts", "kitten", { model: path, voices: path, tokens: path, phonemes: path }),
  kind("tts", "matcha", {
    acousticModel: path,
    vocoder: path,
    tokens: path,
    phonemes: path.optional(),
    lexicons: paths.optional(),
    rules: paths.optional(),
  }),
  kind("tts", "supertonic", {
    durationPredictor: path,
    textEncoder: path,
    vectorEstimator: path,
    vocoder: path,
    settings: path,
    unicodeIndexer: path,
    voices: path,
  }),
  kind("tts", "pocket", {
    lmFlow: path,
    lmMain: path,
    encoder: path,
    decoder: path,
    textConditioner: path,
    vocabulary: path,
    tokenScores: path,
    references: paths,
  }),
  kind("tts", "zipvoice", {
    encoder: path,
    decoder: path,
    vocoder: path,
    tokens: path,
    phonemes: path,
    lexicons: paths.optional(),
    references: paths,
    transcripts: paths,
  }),
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

/** The files and folders that a model consists of. */
export function pathsOf(model: LocalModel): string[] {
  const { stage: _stage, id: _id, kind: _kind, ...paths } = model;
  return Object.values<string | string[] | undefined>(paths).flatMap((path) => path ?? []);
}

export type ModelKind = LocalModel["kind"];

/** A file that a kind of model consists of. */
export interface ModelPart {
  /** Its path in the model's folder, as sherpa-onnx and llama.cpp publish it. */
  pattern: RegExp;
  format: "onnx" | "gguf" | "tokens" | "voices" | "styles" | "phonemes" | "json" | "wav" | "file";
  /** Metadata of an .onnx file without which sherpa-onnx ends the process; `a|b` is one of both. */
  properties?: readonly string[];
  /** The model can be loaded without it. */
  optional?: true;
  /** All files that match are the part, not only the best one. */
  many?: true;
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
const VOCODER = onnx(/(vocos|vocoder|hifigan)[^/]*\.onnx$/);
const LEXICONS: ModelPart = {
  pattern: /(^|\/)lexicon[^/]*\.txt$/,
  format: "file",
  optional: true,
  many: true,
};
const REFERENCES: ModelPart = { pattern: /\.wav$/, format: "wav", many: true };
const STYLED = ["sample_rate", "n_speakers", "has_espeak", "style_dim"];

/** A network that is the whole model, not one of the extras beside it. */
const NETWORK = /^(?!.*(?:gtcrn|punct|silero)).*\.onnx$/;
const EXTRAS = {
  denoiser: { ...onnx(/gtcrn.*\.onnx$/, "sample_rate", "n_fft", "hop_length"), optional: true },
  punctuation: { ...onnx(/punct.*\.onnx$/), optional: true },
  punctuationVocabulary: { pattern: /punct.*\.vocab$/, format: "file", optional: true },
} as const satisfies Record<string, ModelPart>;

/** The files of each kind of model. How a kind is loaded: `src/engine/recogniser.ts`, `voice.ts`. */
export const MODEL_KINDS: Readonly<Kinds> = {
  moonshine: {
    stage: "stt",
    parts: {
      encoder: onnx(/encoder.*\.(ort|onnx)$/),
      mergedDecoder: onnx(/decoder.*merged.*\.(ort|onnx)$/),
      tokens: TOKENS,
      ...EXTRAS,
    },
  },
  whisper: {
    stage: "stt",
    parts: {
      encoder: onnx(ENCODER, "n_mels", "n_vocab", "is_multilingual"),
      decoder: DECODER,
      tokens: TOKENS,
      ...EXTRAS,
    },
  },
  canary: {
    stage: "stt",
    parts: {
      encoder: onnx(ENCODER, "model_type", "vocab_size", "feat_dim"),
      decoder: DECODER,
      tokens: TOKENS,
      ...EXTRAS,
    },
  },
  "streaming-transducer": {
    stage: "stt",
    parts: {
      encoder: onnx(ENCODER, "decode_chunk_len|chunk_shift"),
      decoder: DECODER,
      joiner: JOINER,
      tokens: TOKENS,
      ...EXTRAS,
    },
  },
  "nemo-transducer": {
    stage: "stt",
    parts: {
      encoder: onnx(ENCODER, "vocab_size"),
      decoder: DECODER,
      joiner: JOINER,
      tokens: TOKENS,
      ...EXTRAS,
    },
  },
  transducer: {
    stage: "stt",
    parts: {
      encoder: onnx(ENCODER, "model_type"),
      decoder: DECODER,
      joiner: JOINER,
      tokens: TOKENS,
      ...EXTRAS,
    },
  },
  "streaming-ctc": {
    stage: "stt",
    parts: { model: onnx(NETWORK, "decode_chunk_len"), tokens: TOKENS, ...EXTRAS },
  },
  "nemo-ctc": {
    stage: "stt",
    parts: { model: onnx(NETWORK, "vocab_size", "model_type"), tokens: TOKENS, ...EXTRAS },
  },
  "zipformer-ctc": {
    stage: "stt",
    parts: { model: onnx(NETWORK, "model_type"), tokens: TOKENS, ...EXTRAS },
  },
  "sense-voice": {
    stage: "stt",
    parts: {
      model: onnx(NETWORK, "vocab_size", "lfr_window_size", "neg_mean", "lang_auto"),
      tokens: TOKENS,
      ...EXTRAS,
    },
  },
  gguf: { stage: "llm", parts: { model: { pattern: /\.gguf$/, format: "gguf" } } },
  piper: {
    stage: "tts",
    parts: {
      model: onnx(/\.onnx$/, "sample_rate", "n_speakers", "language", "comment"),
      tokens: TOKENS,
      phonemes: PHONEMES,
      config: { pattern: /\.onnx\.json$/, format: "json", optional: true },
    },
  },
  kokoro: {
    stage: "tts",
    parts: {
      model: onnx(/\.onnx$/, ...STYLED),
      voices: VOICES,
      tokens: TOKENS,
      phonemes: PHONEMES,
      lexicons: LEXICONS,
    },
  },
  kitten: {
    stage: "tts",
    parts: {
      model: onnx(/\.onnx$/, "model_type", ...STYLED),
      voices: VOICES,
      tokens: TOKENS,
      phonemes: PHONEMES,
    },
  },
  matcha: {
    stage: "tts",
    parts: {
      acousticModel: onnx(
        /(^|\/)(?!vocos|vocoder|hifigan)[^/]+\.onnx$/,
        "sample_rate",
        "n_speakers",
        "use_eos_bos",
        "pad_id",
      ),
      vocoder: VOCODER,
      tokens: TOKENS,
      phonemes: { ...PHONEMES, optional: true },
      lexicons: LEXICONS,
      rules: { pattern: /\.fst$/, format: "file", optional: true, many: true },
    },
  },
  supertonic: {
    stage: "tts",
    parts: {
      durationPredictor: onnx(/duration_predictor.*\.onnx$/),
      textEncoder: onnx(/text_encoder.*\.onnx$/),
      vectorEstimator: onnx(/vector_estimator.*\.onnx$/),
      vocoder: onnx(/vocoder.*\.onnx$/),
      settings: { pattern: /(^|\/)tts\.json$/, format: "json" },
      unicodeIndexer: { pattern: /unicode_indexer\.bin$/, format: "file" },
      voices: { pattern: /(^|\/)voice\.bin$/, format: "styles" },
    },
  },
  pocket: {
    stage: "tts",
    parts: {
      lmFlow: onnx(/lm_flow.*\.onnx$/),
      lmMain: onnx(/lm_main.*\.onnx$/),
      encoder: onnx(ENCODER),
      decoder: DECODER,
      textConditioner: onnx(/text_conditioner.*\.onnx$/),
      vocabulary: { pattern: /(^|\/)vocab\.json$/, format: "json" },
      tokenScores: { pattern: /(^|\/)token_scores\.json$/, format: "json" },
      references: REFERENCES,
    },
  },
  zipvoice: {
    stage: "tts",
    parts: {
      encoder: onnx(ENCODER),
      decoder: DECODER,
      vocoder: VOCODER,
      tokens: TOKENS,
      phonemes: PHONEMES,
      lexicons: LEXICONS,
      references: REFERENCES,
      transcripts: {
        pattern: /(^|\/)(?!tokens|lexicon|README)[^/]+\.txt$/,
        format: "file",
        many: true,
      },
    },
  },
};

/** The address and key of a server of local models. */
export interface ModelServer {
  /** In the form of `OPENAI_BASE_URL`. */
  baseURL: string;
  apiKey: string;
}

/** The process that runs a stage's local models. */
export interface RunnerState {
  stage: Stage;
  /** How often it was started again after it had ended by itself. */
  restarts: number;
  /** Of the process that runs now, in bytes; undefined: none runs, or this system does not say. */
  residentBytes: number | undefined;
  /** The ids of the models that are in memory. */
  loaded: readonly string[];
}

/**
 * Runs local models behind OpenAI's HTTP API on loopback. Each stage has a server of its own, so
 * that a model that fails takes no other stage with it.
 */
export interface Engine extends AsyncDisposable {
  /** The server of a stage; it stays the same while models of the stage are in use. */
  serverOf(stage: Stage): ModelServer;
  /** Resolves when the models of these stages can answer; starts what they need. @throws Failure */
  ready(stages: readonly Stage[]): Promise<void>;
  /**
   * The models that conversations use now. Others are released after a while, or as soon as one
   * that is not in memory yet needs the room; running requests are not aborted.
   */
  use(models: readonly LocalModel[]): void;
  /** Each stage that has been used. */
  state(): RunnerState[];
}
