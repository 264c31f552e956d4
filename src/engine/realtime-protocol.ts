import { z } from "zod";
import type { DetectorOptions } from "./audio-tools.ts";
import { parse, refusal } from "./openai-http.ts";

const turnDetection = z.object({
  type: z.literal("server_vad", {
    error: "must be server_vad: this engine has no other turn detection",
  }),
  threshold: z.number().min(0).max(1).nullish(),
  silence_duration_ms: z.int().min(50).max(10_000).nullish(),
  prefix_padding_ms: z.int().min(0).max(5000).nullish(),
});

const session = z.object({
  type: z.literal("transcription", { error: "must be transcription" }).optional(),
  audio: z
    .object({
      input: z
        .object({
          format: z
            .object({
              type: z.literal("audio/pcm", { error: "must be audio/pcm" }),
              rate: z.int().min(8000).max(48_000).optional(),
            })
            .nullish(),
          transcription: z
            .object({ model: z.string().optional(), language: z.string().nullish() })
            .nullish(),
          turn_detection: turnDetection.nullish(),
        })
        .nullish(),
    })
    .nullish(),
});

export type SessionUpdate = z.infer<typeof session>;

/**
 * The events that clients of a realtime transcription send
 * (https://platform.openai.com/docs/guides/realtime-transcription).
 */
const clientEvent = z.discriminatedUnion("type", [
  z.object({ type: z.literal("session.update"), session }),
  z.object({ type: z.literal("input_audio_buffer.append"), audio: z.base64() }),
  z.object({ type: z.literal("input_audio_buffer.commit") }),
  z.object({ type: z.literal("input_audio_buffer.clear") }),
]);

/** A client's message as an event. @throws Failure `invalid` if it is malformed or unknown */
export function parseClientEvent(text: string): z.infer<typeof clientEvent> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw refusal("invalid", "The message is not valid JSON.", { code: "invalid_event" });
  }
  return parse(clientEvent, json);
}

/** The id that a client gave its event, for the answer to it; undefined where it has none. */
export function eventIdOf(text: string): string | undefined {
  // The id stands beside the audio, which is not read again for it.
  return /"event_id"\s*:\s*"([^"\\]{1,256})"/.exec(text.slice(0, 1000))?.[1];
}

/** What a client can set for its connection. */
export interface RealtimeSettings {
  model: string | undefined;
  /** The code of the language that is spoken; undefined: the model detects it, if it can. */
  language: string | undefined;
  /** Sample rate of the client's audio, in Hz. */
  rate: number;
  /** Whether the end of speech commits the audio. */
  serverVad: boolean;
  detection: DetectorOptions;
  /** Audio before the beginning of speech that belongs to it, in ms. */
  prefixMs: number;
}

const DEFAULT_DETECTION: DetectorOptions = { threshold: 0.5, silenceMs: 500 };
const DEFAULT_PREFIX_MS = 300;

/** As with OpenAI, the server detects turns until the client turns that off. */
export function defaultSettings(model: string | undefined): RealtimeSettings {
  return {
    model,
    language: undefined,
    rate: 24_000,
    serverVad: true,
    detection: DEFAULT_DETECTION,
    prefixMs: DEFAULT_PREFIX_MS,
  };
}

/** The settings after a `session.update`; what it does not mention stays as it is. */
export function updatedSettings(old: RealtimeSettings, { audio }: SessionUpdate): RealtimeSettings {
  const input = audio?.input;
  const detection = input?.turn_detection;
  const spoken = input?.transcription?.language;
  return {
    model: input?.transcription?.model ?? old.model,
    language: spoken === null ? undefined : (spoken ?? old.language),
    rate: input?.format?.rate ?? old.rate,
    serverVad: detection === undefined ? old.serverVad : detection !== null,
    detection: detection
      ? {
          threshold: detection.threshold ?? DEFAULT_DETECTION.threshold,
          silenceMs: detection.silence_duration_ms ?? DEFAULT_DETECTION.silenceMs,
        }
      : old.detection,
    prefixMs: detection ? (detection.prefix_padding_ms ?? DEFAULT_PREFIX_MS) : old.prefixMs,
  };
}

/** The settings as OpenAI's session object. */
export function sessionObject(settings: RealtimeSettings): Record<string, unknown> {
  const { threshold, silenceMs: silence_duration_ms } = settings.detection;
  const { prefixMs: prefix_padding_ms } = settings;
  const input = {
    format: { type: "audio/pcm", rate: settings.rate },
    transcription: {
      model: settings.model ?? null,
      ...(settings.language === undefined ? {} : { language: settings.language }),
    },
    turn_detection: settings.serverVad
      ? { type: "server_vad", threshold, prefix_padding_ms, silence_duration_ms }
      : null,
  };
  return { type: "transcription", audio: { input } };
}
