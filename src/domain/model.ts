/**
 * A model whose files are on this machine, as the engine loads it. Paths are absolute, and requests
 * name the model by its `id`.
 */
export type LocalModel = LocalSttModel | LocalLlmModel | LocalTtsModel;

/** Kinds differ in the files that sherpa-onnx needs. */
export type LocalSttModel = { stage: "stt"; id: string } & (
  | { kind: "moonshine"; encoder: string; mergedDecoder: string; tokens: string }
  | { kind: "whisper"; encoder: string; decoder: string; tokens: string }
  /** A streaming model, which gives interim results. */
  | {
      kind: "streaming-transducer";
      encoder: string;
      decoder: string;
      joiner: string;
      tokens: string;
    }
  | { kind: "nemo-transducer"; encoder: string; decoder: string; joiner: string; tokens: string }
);

export interface LocalLlmModel {
  stage: "llm";
  id: string;
  kind: "gguf";
  model: string;
}

export type LocalTtsModel = {
  stage: "tts";
  id: string;
} /** `phonemes` is the folder of espeak-ng's data. */ & (
  | { kind: "piper"; model: string; tokens: string; phonemes: string }
  | { kind: "kokoro"; model: string; tokens: string; voices: string; phonemes: string }
);

/**
 * Runs local models for speech recognition, language and speech synthesis, behind OpenAI's HTTP API
 * on loopback.
 */
export interface Engine extends AsyncDisposable {
  /** In the form of `OPENAI_BASE_URL`; it stays the same when the engine restarts. */
  readonly baseURL: string;
  readonly apiKey: string;
  /** Resolves when it can serve; starts the child process if needed. @throws Failure */
  ready(): Promise<void>;
  /** Replaces the models it serves, without aborting running requests. */
  use(models: readonly LocalModel[]): void;
}
