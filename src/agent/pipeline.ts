import type { llm as llms, stt as stts, tts as ttss, VAD } from "@livekit/agents";
import * as openai from "@livekit/agents-plugin-openai";
import * as silero from "@livekit/agents-plugin-silero";
import { InferenceSession } from "onnxruntime-node";
import type OpenAI from "openai";
import type { Thinking } from "../domain/stage.ts";
import type { Notice } from "../domain/transcript.ts";
import { Failover } from "../providers/failover.ts";
import { loadingOf } from "../providers/loading.ts";
import type { ModelMemory } from "../providers/model-memory.ts";
import { createProviderClient, TIMEOUTS } from "../providers/provider-client.ts";
import { fallbackNotice } from "../providers/provider-errors.ts";
import { type ProviderSource, unknownSource } from "../providers/provider-source.ts";
import { VoiceServer } from "../providers/voice-server.ts";
import { ChatLlm } from "./chat-llm.ts";
import { VAD_SILENCE_MS } from "./end-of-turn.ts";
import { type ConnectionEvents, RealtimeStt } from "./realtime-stt.ts";
import { StreamingTts } from "./streaming-tts.ts";
import { UtteranceStt } from "./utterance-stt.ts";

/** How a provider of a stage is reached. */
export interface ProviderOptions {
  baseURL: string;
  apiKey: string | undefined;
  model: string;
  /** Sent with each request. */
  headers?: Record<string, string> | undefined;
  /** What messages about it may name. */
  source?: ProviderSource | undefined;
}

/** The provider of a stage, and the one that takes over when it fails. */
export type StageOptions<Extra = unknown> = ProviderOptions &
  Extra & { fallback?: (ProviderOptions & Extra) | undefined };

export interface PipelineOptions {
  /** The language that is spoken, as an ISO 639-1 code; null: the recogniser detects it. */
  language: string | null;
  /** Words and names that the recogniser should expect. */
  keyterms: readonly string[];
  stt: StageOptions<{ realtime: boolean }>;
  llm: StageOptions & {
    /** `auto` by default. */
    thinking?: Thinking | undefined;
    /** Whether an answer is begun before it is certain that the turn is over; true by default. */
    prepares?: boolean | undefined;
  };
  tts: StageOptions<{ voice: string }>;
  /** Tells the person something that is no failure. */
  onNotice(notice: Notice): void;
}

/** The speech pipeline of one session. */
export interface Pipeline {
  vad: VAD;
  stt: stts.STT;
  llm: llms.LLM;
  tts: ttss.TTS;
  /** The sample rate that the STT expects, in Hz. */
  sampleRate: number;
  close(): Promise<void>;
}

/**
 * A short silence ends an utterance for the VAD, so that recognition starts early. Whether the turn
 * is over is decided later, by `end-of-turn.ts`.
 */
const VAD_OPTIONS: ConstructorParameters<typeof silero.VAD>[1] = {
  minSpeechDuration: 50,
  minSilenceDuration: VAD_SILENCE_MS,
  prefixPaddingDuration: 300,
  maxBufferedSpeech: 60_000,
  activationThreshold: 0.5,
  sampleRate: 16_000,
  forceCPU: true,
};

/**
 * The plugin's VAD. Each session has its own, since it keeps every stream it ever made and a shared
 * one would grow. Only `close` ends its streams: the plugin's `endInput`, which the realtime STT
 * calls first, tries to close a locked stream and causes an unhandled rejection.
 */
class SessionVad extends silero.VAD {
  override stream(): ReturnType<silero.VAD["stream"]> {
    const stream = super.stream();
    stream.endInput = () => {};
    return stream;
  }
}

/**
 * The VAD of a realtime STT. The plugin pushes audio to it only while its connection is open, so
 * each frame shows that it is.
 */
class ConnectionVad extends SessionVad implements ConnectionEvents {
  onOpen = () => {};

  override stream(): ReturnType<silero.VAD["stream"]> {
    const stream = super.stream();
    const push = stream.pushFrame.bind(stream);
    stream.pushFrame = (frame) => {
      this.onOpen();
      push(frame);
    };
    return stream;
  }
}

/** Loads the VAD's model, which the VADs of all sessions share. */
export function loadVadModel(path: string): Promise<InferenceSession> {
  return InferenceSession.create(path, {
    interOpNumThreads: 1,
    intraOpNumThreads: 1,
    executionMode: "sequential",
    // Loading blocks the event loop. More optimisation doubles that time and does not speed up
    // inference.
    graphOptimizationLevel: "basic",
    executionProviders: [{ name: "cpu" }],
  });
}

/** What all sessions share. */
export interface SharedParts {
  vadModel: InferenceSession;
  memory: ModelMemory;
}

/** Creates the stages of one session. */
export function createPipeline(
  options: PipelineOptions,
  { vadModel, memory }: SharedParts,
): Pipeline {
  const vad = new SessionVad(vadModel, VAD_OPTIONS);
  const clientOf: ClientOf = (stage, server) => {
    // The engine loads its models before a conversation begins.
    if (server.headers) return createProviderClient(server);
    const tell = options[stage].fallback ? undefined : options.onNotice;
    return createProviderClient(server, {
      ...TIMEOUTS,
      loading: loadingOf(stage, server, memory, tell),
    });
  };
  const stt = createStt(options, vad, vadModel, clientOf);
  const llm = new ChatLlm({
    first: options.llm,
    second: options.llm.fallback,
    thinking: options.llm.thinking ?? "auto",
    memory,
    onNotice: options.onNotice,
  });
  const tts = createTts(options, clientOf);
  return {
    vad,
    stt,
    llm,
    tts,
    sampleRate: options.stt.realtime ? 24_000 : 16_000,
    close: async () => {
      await Promise.allSettled([stt.close(), llm.aclose(), tts.close()]);
    },
  };
}

/** The client of a server that may have to load its model first. */
type ClientOf = (stage: "stt" | "tts", server: ProviderOptions) => OpenAI;

function createTts(
  { tts: { fallback: second, ...first }, onNotice }: PipelineOptions,
  clientOf: ClientOf,
): StreamingTts {
  // Where a second voice can speak, the first is not waited for while it loads.
  const client = second ? createProviderClient(first) : clientOf("tts", first);
  const sourceIn = (options: typeof first) => options.source ?? unknownSource("tts");
  let isTold = false;
  const onSwitch = (error: unknown) => {
    if (isTold || !second) return;
    isTold = true;
    onNotice(fallbackNotice("tts", sourceIn(first), sourceIn(second), error));
  };
  return new StreamingTts({
    client,
    model: first.model,
    servers: new Failover(
      new VoiceServer({ ...first, client }),
      second && new VoiceServer({ ...second, client: clientOf("tts", second) }),
      onSwitch,
    ),
  });
}

function createStt(
  { stt: options, language }: PipelineOptions,
  vad: VAD,
  vadModel: InferenceSession,
  clientOf: ClientOf,
): stts.STT {
  const shared = {
    client: clientOf("stt", options),
    model: options.model,
    ...(language ? { language } : { detectLanguage: true }),
  };
  if (!options.realtime) {
    return new UtteranceStt(
      new openai.STT({ ...shared, apiKey: "unused", useRealtime: false }),
      vad,
    );
  }
  const connectionVad = new ConnectionVad(vadModel, VAD_OPTIONS);
  return new RealtimeStt(
    new openai.STT({
      ...shared,
      // The plugin's WebSocket does not use the client, but these.
      apiKey: options.apiKey ?? "none",
      baseURL: options.baseURL,
      useRealtime: true,
      // Parley's VAD commits the audio at the first short silence, sooner than the server's would.
      turnDetection: null,
      vad: connectionVad,
    }),
    connectionVad,
  );
}
