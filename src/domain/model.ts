/**
 * A model whose files are on this machine, as the engine loads it; every path is absolute. `id` is
 * what requests name it by.
 */
export type LocalModel = LocalSttModel | LocalLlmModel | LocalTtsModel;

/** The kinds differ in their files, as sherpa-onnx takes them. */
export type LocalSttModel = { stage: "stt"; id: string } & (
  | { kind: "moonshine"; encoder: string; mergedDecoder: string; tokens: string }
  | { kind: "whisper"; encoder: string; decoder: string; tokens: string }
  /** Streaming: gives interim results by itself. */
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
} /** `phonemes`: the folder of espeak-ng's data. */ & (
  | { kind: "piper"; model: string; tokens: string; phonemes: string }
  | { kind: "kokoro"; model: string; tokens: string; voices: string; phonemes: string }
);

/**
 * Speech recognition, language model and speech synthesis on this machine, behind OpenAI's HTTP
 * interface on loopback.
 */
export interface Engine extends AsyncDisposable {
  /** As `OPENAI_BASE_URL` takes it; the same for the engine's whole life, through its restarts. */
  readonly baseURL: string;
  readonly apiKey: string;
  /** Answers when it serves; starts the child if it does not run. @throws Failure with what to do */
  ready(): Promise<void>;
  /** Replaces what it serves, without an end to what is being answered. */
  use(models: readonly LocalModel[]): void;
}
