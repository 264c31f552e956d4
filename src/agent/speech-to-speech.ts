import { voice } from "@livekit/agents";
import * as openai from "@livekit/agents-plugin-openai";
import { isOpenAi, type SpeechToSpeechProvider } from "../domain/stage.ts";
import {
  PATIENCE,
  type RealtimeModelEvents,
  type RealtimeModelPatience,
  RealtimeModelSession,
} from "./realtime-model-session.ts";

export interface SpeechToSpeechOptions extends SpeechToSpeechProvider {
  /** The language that is spoken, as a BCP 47 tag; null: the server finds out. */
  language: string | null;
  /** Words and names that the server should expect. */
  keyterms: readonly string[];
}

/** Silence after which the server hears the end of the user's turn, in ms. */
export const SERVER_SILENCE_MS = 500;
/** The sample rate of the protocol's audio, in Hz. */
const SAMPLE_RATE = 24_000;
/** Longer than any session: the server ends its own, and the connection is opened again then. */
const NEVER_MS = 2 ** 31 - 1;
/** Every server of the protocol knows it. It hears the end of a turn by silence. */
const TURN_DETECTION = {
  type: "server_vad" as const,
  silence_duration_ms: SERVER_SILENCE_MS,
  create_response: true,
  interrupt_response: true,
};

/** A realtime model whose sessions reconnect and report what they hear. */
class SpeechToSpeechModel extends openai.realtime.RealtimeModel {
  readonly #options: SpeechToSpeechOptions;
  readonly #events: RealtimeModelEvents;
  readonly #patience: RealtimeModelPatience;

  constructor(
    options: SpeechToSpeechOptions,
    events: RealtimeModelEvents,
    patience: RealtimeModelPatience,
  ) {
    super({
      baseURL: options.baseURL,
      // Required by the plugin, which does not open the connection here.
      apiKey: options.apiKey ?? "none",
      model: options.model,
      voice: options.voice,
      turnDetection: TURN_DETECTION,
      inputAudioTranscription: transcription(options),
      maxSessionDuration: NEVER_MS,
      connOptions: { maxRetry: NEVER_MS, retryIntervalMs: 0, timeoutMs: 10_000 },
    });
    this.#options = options;
    this.#events = events;
    this.#patience = patience;
  }

  override session(): openai.realtime.RealtimeSession {
    const session = new RealtimeModelSession(this, this.#options, this.#events, this.#patience);
    return session as unknown as openai.realtime.RealtimeSession;
  }
}

function transcription({ baseURL, language, keyterms }: SpeechToSpeechOptions) {
  return {
    model: isOpenAi(baseURL) ? "gpt-4o-mini-transcribe" : "whisper-1",
    ...(language === null ? {} : { language: language.split("-")[0] ?? language }),
    ...(keyterms.length === 0 ? {} : { prompt: keyterms.join(", ") }),
  };
}

/**
 * Creates the framework's session for a realtime model that serves all three stages.
 */
export function createSpeechToSpeech(
  options: SpeechToSpeechOptions,
  events: RealtimeModelEvents,
  patience: RealtimeModelPatience = PATIENCE,
) {
  const session = new voice.AgentSession({
    llm: new SpeechToSpeechModel(options, events, patience),
    // The server hears when the user speaks; no model of this machine does.
    vad: null,
    userAwayTimeout: null,
    aecWarmupDuration: null,
    turnHandling: { turnDetection: "realtime_llm" },
  });
  return { session, sampleRate: SAMPLE_RATE, close: async () => {} };
}

/** What makes a realtime model say a greeting: it has a voice, but reads nothing aloud. */
export function greetingInstructions(greeting: string): string {
  return `Greet the person now. Say exactly this, and nothing else: ${JSON.stringify(greeting)}`;
}
