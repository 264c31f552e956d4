import { randomUUID } from "node:crypto";
import { Hono } from "hono";
import type { Logger } from "pino";
import { z } from "zod";
import { pcmBytes, wavHeader } from "../../lib/wav.ts";
import type { LoadedModels } from "../loaded-models.ts";
import { clientOf, jsonBody, parse } from "../openai-http.ts";
import { SPEECH_RATE, type Voice } from "../voice.ts";

/** https://platform.openai.com/docs/api-reference/audio/createSpeech */
const speechRequest = z.object({
  model: z.string(),
  input: z.string().max(4096).regex(/\S/, "has nothing to speak"),
  voice: z.union([z.string(), z.object({ id: z.string() }).transform(({ id }) => id)]),
  response_format: z
    .enum(["wav", "pcm"], { error: "must be wav or pcm: this engine makes no other format" })
    .default("wav"),
  speed: z.number().min(0.25).max(4).default(1),
  stream_format: z
    .literal("audio", { error: "must be audio: this engine has no other stream" })
    .optional(),
  user: z.string().max(256).nullish(),
});

type SpeechRequest = z.infer<typeof speechRequest>;

/** `POST /v1/audio/speech`: audio is sent while it is synthesised, sentence by sentence. */
export function speech({ models, logger }: { models: LoadedModels; logger: Logger }): Hono {
  const app = new Hono();
  app.post("/v1/audio/speech", async (c) => {
    const body = parse(speechRequest, await jsonBody(c.req));
    const lease = await models.acquire("tts", body.model);
    const disconnected = new AbortController();
    const signal = AbortSignal.any([c.req.raw.signal, disconnected.signal]);
    const client = clientOf(c.req.raw, body.user) ?? randomUUID();
    const audio = synthesise(lease.model, body, client, signal);
    // The response begins with the first piece, so that a failure before it can set the status.
    const first = await audio.next().catch((error) => {
      lease[Symbol.dispose]();
      throw error;
    });
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        if (!first.done) controller.enqueue(first.value);
      },
      async pull(controller) {
        try {
          const next = await audio.next();
          if (!next.done) return controller.enqueue(next.value);
          lease[Symbol.dispose]();
          controller.close();
        } catch (error) {
          lease[Symbol.dispose]();
          if (!signal.aborted) logger.error({ err: error }, "speech broke off");
          controller.error(error);
        }
      },
      cancel() {
        disconnected.abort();
        lease[Symbol.dispose]();
      },
    });
    const type = body.response_format === "wav" ? "audio/wav" : "audio/pcm";
    return new Response(stream, { headers: { "Content-Type": type } });
  });
  return app;
}

async function* synthesise(voice: Voice, body: SpeechRequest, client: string, signal: AbortSignal) {
  let head = body.response_format === "wav" ? wavHeader(SPEECH_RATE) : new Uint8Array();
  for await (const pcm of voice.speak(body.input, { ...body, client, signal })) {
    if (pcm.length === 0) continue;
    yield Buffer.concat([head, pcmBytes(pcm)]);
    head = new Uint8Array();
  }
  // A text without a letter or digit has no audio, but the file still needs its header.
  if (head.length > 0) yield head;
}
