import { randomUUID } from "node:crypto";
import { Hono } from "hono";
import { z } from "zod";
import { messageOf } from "../../errors.ts";
import { floatsOf, readWav } from "../../lib/wav.ts";
import { clientOf } from "../client.ts";
import { parse, refusal } from "../openai-error.ts";
import type { Heard } from "../recogniser.ts";
import type { RouteDeps } from "../route-deps.ts";
import { HEARING_RATE } from "../split-audio.ts";

/** (https://platform.openai.com/docs/api-reference/audio/createTranscription) */
const transcriptionRequest = z.object({
  model: z.string({ error: "is missing" }),
  file: z.file({ error: "must be a file" }),
  response_format: z
    .enum(["json", "text", "verbose_json"], {
      error: "must be json, text or verbose_json: this engine gives nothing else",
    })
    .default("json"),
  language: z.string().optional(),
  user: z.string().max(256).optional(),
});

/** `POST /v1/audio/transcriptions`: the words of a WAV file. */
export function transcriptions({ models, hearing }: RouteDeps): Hono {
  const app = new Hono();
  app.post("/v1/audio/transcriptions", async (c) => {
    const form = await c.req.raw.formData().catch(() => {
      throw refusal("invalid", "The body is not a multipart form.");
    });
    const body = parse(transcriptionRequest, Object.fromEntries(form));
    models.check("stt", body.model);
    const { pcm, rate } = readAudio(await body.file.bytes());
    using loan = await models.borrow("stt", body.model);
    const utterance = loan.model.listen(clientOf(c.req.raw, body.user) ?? randomUUID());
    utterance.push((await hearing()).resampler(rate, HEARING_RATE).flush(floatsOf(pcm)));
    const heard = await utterance.finish(c.req.raw.signal);
    const text = heard
      .map((part) => part.text)
      .filter(Boolean)
      .join(" ");
    if (body.response_format === "text") return c.text(`${text}\n`);
    const seconds = pcm.length / rate;
    if (body.response_format === "json") {
      return c.json({ text, usage: { type: "duration", seconds: Math.ceil(seconds) } });
    }
    const language = body.language ?? "unknown";
    return c.json({
      task: "transcribe",
      language,
      duration: seconds,
      text,
      segments: segments(heard),
    });
  });
  return app;
}

function readAudio(bytes: Uint8Array) {
  try {
    return readWav(bytes);
  } catch (error) {
    const why = messageOf(error);
    throw refusal("invalid", `file: ${why}. This engine reads WAV files of 16-bit PCM.`, {
      param: "file",
    });
  }
}

function segments(heard: readonly Heard[]) {
  return heard.map(({ text, start, end }, id) => ({
    id,
    seek: 0,
    start,
    end,
    text,
    tokens: [],
    temperature: 0,
    avg_logprob: 0,
    compression_ratio: 1,
    no_speech_prob: 0,
  }));
}
