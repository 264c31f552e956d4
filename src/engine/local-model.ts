import { z } from "zod";
import type { LocalModel } from "../domain/model.ts";

const path = z.string().min(1);
const stt = { stage: z.literal("stt"), id: z.string() };
const tts = { stage: z.literal("tts"), id: z.string() };
const transducer = { encoder: path, decoder: path, joiner: path, tokens: path };

/** A `LocalModel` as it comes from another process. */
export const localModel: z.ZodType<LocalModel> = z.discriminatedUnion("kind", [
  z.object({
    ...stt,
    kind: z.literal("moonshine"),
    encoder: path,
    mergedDecoder: path,
    tokens: path,
  }),
  z.object({ ...stt, kind: z.literal("whisper"), encoder: path, decoder: path, tokens: path }),
  z.object({ ...stt, kind: z.literal("streaming-transducer"), ...transducer }),
  z.object({ ...stt, kind: z.literal("nemo-transducer"), ...transducer }),
  z.object({ stage: z.literal("llm"), id: z.string(), kind: z.literal("gguf"), model: path }),
  z.object({ ...tts, kind: z.literal("piper"), model: path, tokens: path, phonemes: path }),
  z.object({
    ...tts,
    kind: z.literal("kokoro"),
    model: path,
    tokens: path,
    voices: path,
    phonemes: path,
  }),
]);
