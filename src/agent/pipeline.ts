import type { llm as llms, stt as stts, tts as ttss, VAD } from "@livekit/agents";
import type { InferenceSession } from "onnxruntime-node";
import type OpenAI from "openai";
import type { Thinking } from "../domain/stage.ts";
import type { Notice } from "../domain/transcript.ts";
import { Failover } from "../providers/failover.ts";
import { loadingOf } from "../providers/loading.ts";
import type { ModelMemory } from "../providers/model-memory.ts";
import { createProviderClient, TIMEOUTS } from "../providers/provider-client.ts";
import { tellingOfFallback } from "../providers/provider-errors.ts";
import type { ProviderSource } from "../providers/provider-source.ts";
import { VoiceServer } from "../providers/voice-server.ts";
import { ChatLlm } from "./chat-llm.ts";
import { createStt } from "./recognition.ts";
import { StreamingTts } from "./streaming-tts.ts";
import { SessionVad, VAD_OPTIONS } from "./vad.ts";

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
  const stt = createStt(options, vad, memory, clientOf);
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
export type ClientOf = (stage: "stt" | "tts", server: ProviderOptions) => OpenAI;

function createTts(
  { tts: { fallback: second, ...first }, onNotice }: PipelineOptions,
  clientOf: ClientOf,
): StreamingTts {
  // Where a second voice can speak, the first is not waited for while it loads.
  const client = second ? createProviderClient(first) : clientOf("tts", first);
  return new StreamingTts({
    client,
    model: first.model,
    servers: new Failover(
      new VoiceServer({ ...first, client }),
      second && new VoiceServer({ ...second, client: clientOf("tts", second) }),
      tellingOfFallback("tts", first, second, onNotice),
    ),
  });
}
