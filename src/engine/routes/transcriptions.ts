import { randomUUID } from "node:crypto";
import { Hono } from "hono";
import { z } from "zod";
import { messageOf } from "../../errors.ts";
import { floatsOf, readWav } from "../../lib/wav.ts";
import type { AudioTools } from "../audio-tools.ts";
import type { LoadedModels } from "../loaded-models.ts";
import { clientOf, parse, refusal } from "../openai-http.ts";
import { RECOGNISER_RATE, type Segment, textOf } from "../utterance.ts";

interface Deps {
  models: LoadedModels;
  audioTools: () => Promise<AudioTools>;
}

/** https://platform.openai.com/docs/api-reference/audio/createTranscription */
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

/** `POST /v1/audio/transcriptions`: the text of a WAV file. */
export function transcriptions({ models, audioTools }: Deps): Hono {
  const app = new Hono();
  app.post("/v1/audio/transcriptions", async (c) => {
    const form = await c.req.raw.formData().catch(() => {
      throw refusal("invalid", "The body is not a multipart form.");
    });
    const body = parse(transcriptionRequest, Object.fromEntries(form));
    models.check("stt", body.model);
    const { pcm, rate } = readAudio(await body.file.bytes());
    using lease = await models.acquire("stt", body.model);
    const utterance = lease.model.listen(
      clientOf(c.req.raw, body.user) ?? randomUUID(),
      body.language,
    );
    const resampler = (await audioTools()).resampler(rate, RECOGNISER_RATE);
    utterance.push(resampler.flush(floatsOf(pcm)));
    const segments = await utterance.finish(c.req.raw.signal);
    const text = textOf(segments);
    if (body.response_format === "text") return c.text(`${text}\n`);
    const seconds = pcm.length / rate;
    if (body.response_format === "json") {
      return c.json({ text, usage: { type: "duration", seconds: Math.ceil(seconds) } });
    }
    return c.json({
      task: "transcribe",
      language: body.language ?? "unknown",
      duration: seconds,
      text,
      segments: segments.map(segmentObject),
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

/** A segment of OpenAI's `verbose_json`; the recognisers tell none of the figures after `text`. */
function segmentObject({ text, start, end }: Segment, id: number) {
  return {
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
  };
}
