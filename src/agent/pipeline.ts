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
import { promptOf, Transcriber } from "../providers/transcription.ts";
import { VoiceServer } from "../providers/voice-server.ts";
import { ChatLlm } from "./chat-llm.ts";
import { VAD_SILENCE_MS } from "./end-of-turn.ts";
import { type ConnectionEvents, RealtimeStt } from "./realtime-stt.ts";
import { StreamingTts } from "./streaming-tts.ts";
import type { SttWrapper } from "./stt-wrapper.ts";
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

/** How the same server is asked when its realtime transcription does not work. */
export interface RequestsInstead {
  model: string;
  /** Called when requests have taken over, with the reason. */
  onSwitch(why: string): void;
}

export interface PipelineOptions {
  /** The language that is spoken, as an ISO 639-1 code; null: the recogniser detects it. */
  language: string | null;
  /** Words and names that the recogniser should expect. */
  keyterms: readonly string[];
  stt: StageOptions<{ realtime: boolean }> & { requests?: RequestsInstead | undefined };
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
  onVad: ConnectionEvents["onVad"] = () => {};

  override stream(): ReturnType<silero.VAD["stream"]> {
    const stream = super.stream();
    const push = stream.pushFrame.bind(stream);
    stream.pushFrame = (frame) => {
      this.onOpen();
      push(frame);
    };
    const next = stream.next.bind(stream);
    stream.next = async () => {
      const result = await next();
      if (!result.done) this.onVad(result.value);
      return result;
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
  const stt = createStt(options, vad, { vadModel, memory }, clientOf);
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
  options: PipelineOptions,
  vad: VAD,
  { vadModel, memory }: SharedParts,
  clientOf: ClientOf,
): SttWrapper {
  const { stt, language, keyterms } = options;
  const requests = createRequestStt(options, vad, memory, clientOf);
  if (!stt.realtime) {
    if (!requests) throw new Error("no server transcribes requests");
    return requests;
  }
  const prompt = promptOf(keyterms);
  const connectionEvents = new ConnectionVad(vadModel, VAD_OPTIONS);
  const recognizer = new openai.STT({
    client: clientOf("stt", stt),
    model: stt.model,
    ...(language ? { language } : { detectLanguage: true }),
    ...(prompt ? { prompt } : {}),
    // The plugin's WebSocket does not use the client, but these.
    apiKey: stt.apiKey ?? "none",
    baseURL: stt.baseURL,
    useRealtime: true,
    // Parley's VAD commits the audio at the first short silence, sooner than the server's would.
    turnDetection: null,
    vad: connectionEvents,
  });
  return new RealtimeStt({
    recognizer,
    connectionEvents,
    language,
    hasPrompt: prompt !== undefined,
    requests,
    onSwitch: (why, error) => {
      if (stt.requests) stt.requests.onSwitch(why);
      else if (stt.fallback) options.onNotice(sttFallbackNotice(stt, stt.fallback, error));
    },
  });
}

function sttFallbackNotice(first: ProviderOptions, second: ProviderOptions, error: unknown) {
  const sourceOf = ({ source }: ProviderOptions) => source ?? unknownSource("stt");
  return fallbackNotice("stt", sourceOf(first), sourceOf(second), error);
}

/** Recognition by requests: at the stage's server where that is allowed, then at the second one. */
function createRequestStt(
  { stt, language, keyterms, onNotice }: PipelineOptions,
  vad: VAD,
  memory: ModelMemory,
  clientOf: ClientOf,
): UtteranceStt | undefined {
  const { fallback, requests } = stt;
  const transcriber = (server: ProviderOptions, client: OpenAI) => {
    const { refused } = memory.of(server);
    return new Transcriber({ client, model: server.model, language, keyterms, refused });
  };
  const second = fallback && transcriber(fallback, clientOf("stt", fallback));
  const model = stt.realtime ? requests?.model : stt.model;
  const server = model === undefined ? undefined : { ...stt, model };
  // Where another provider can answer, a model is not waited for until it is loaded.
  const client = server && (second ? createProviderClient(server) : clientOf("stt", server));
  const first = server && client ? transcriber(server, client) : second;
  if (!first) return undefined;
  const onSwitch = (error: unknown) => {
    if (fallback) onNotice(sttFallbackNotice(stt, fallback, error));
  };
  const servers = new Failover(first, first === second ? undefined : second, onSwitch);
  return new UtteranceStt(first.model, servers, language, vad);
}
