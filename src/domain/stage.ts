/** The stages of the voice pipeline: speech recognition, language model, speech synthesis. */
export const STAGES = ["stt", "llm", "tts"] as const;
export type Stage = (typeof STAGES)[number];

/** OpenAI's API, the provider of every stage that has none of its own. */
export const OPENAI_URL = "https://api.openai.com/v1";

/** What OpenAI is asked for where nothing else is chosen. */
export const OPENAI_DEFAULTS = { llm: "gpt-4o-mini", tts: "gpt-4o-mini-tts", voice: "alloy" };

/** Whether the address is OpenAI's own, which needs a key and has realtime transcription. */
export function isOpenAi(baseURL: string): boolean {
  return new URL(baseURL).host === new URL(OPENAI_URL).host;
}

/** The address and key of a server with OpenAI's API. */
export interface ProviderEndpoint {
  /** Without a slash at its end. */
  baseURL: string;
  /** Undefined for servers that want no key. */
  apiKey: string | undefined;
  /** The environment variable that decides it; undefined: the choice on the Models page. */
  fixedBy?: string | undefined;
}

/** The server of one stage. */
export interface StageEndpoint extends ProviderEndpoint {
  stage: Stage;
}

/** What serves one stage of a session. */
export interface StageProvider extends ProviderEndpoint {
  model: string;
  /** The server is the local engine, which keeps the state of each conversation. */
  isEngine?: boolean;
}

/** The server whose realtime model serves all three stages: it hears and speaks itself. */
export interface SpeechToSpeechProvider extends ProviderEndpoint {
  model: string;
  voice: string;
  /** The environment variable that chooses it; undefined: the page's settings do. */
  fixedBy?: string | undefined;
}

/** The provider of a stage, and the one that takes over when it fails. */
type WithFallback<P> = P & { fallback?: P | undefined };

/** Whether a model may think before it answers. */
export type Thinking = "auto" | "on" | "off";

/** The providers that take over, for the stages that have one. */
export type SecondProviders = { [S in Stage]?: StageProviders[S]["fallback"] };

/** What serves each stage of a session. */
export interface StageProviders {
  /** `model` undefined: OpenAI's best for the way the server is reached. */
  stt: WithFallback<
    Omit<StageProvider, "model"> & { model: string | undefined; realtime: "auto" | boolean }
  >;
  llm: WithFallback<StageProvider> & {
    /** Whether the model may think before it answers; `auto`, the default: not if it can do without. */
    thinking?: Thinking | undefined;
    /** Whether answers are prepared before it is certain that a turn is over; true by default. */
    prepares?: boolean | undefined;
  };
  tts: WithFallback<StageProvider & { voice: string }>;
}

/** OpenAI's transcription models: one streams while a person speaks, the other takes utterances. */
const REALTIME_STT_MODEL = "gpt-realtime-whisper";
const UTTERANCE_STT_MODEL = "gpt-4o-mini-transcribe";

/** The model to transcribe with, which depends on how the server is reached. */
export function sttModelFor(stt: StageProviders["stt"], realtime: boolean): string {
  return stt.model ?? (realtime ? REALTIME_STT_MODEL : UTTERANCE_STT_MODEL);
}
