import { z } from "zod";

const detection = z.object({
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
          transcription: z.object({ model: z.string().optional() }).nullish(),
          turn_detection: detection.nullish(),
        })
        .nullish(),
    })
    .nullish(),
});

/**
 * What clients of a realtime transcription send
 * (https://platform.openai.com/docs/guides/realtime-transcription).
 */
export const realtimeEvent = z.discriminatedUnion("type", [
  z.object({ type: z.literal("session.update"), session }),
  z.object({ type: z.literal("input_audio_buffer.append"), audio: z.base64() }),
  z.object({ type: z.literal("input_audio_buffer.commit") }),
  z.object({ type: z.literal("input_audio_buffer.clear") }),
]);

export type SessionUpdate = z.infer<typeof session>;
