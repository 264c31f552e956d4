import { randomUUID } from "node:crypto";
import { Hono } from "hono";
import type { Logger } from "pino";
import { z } from "zod";
import {
  CONTENT_TYPES,
  createSoundEncoder,
  ENCODED_FORMATS,
  type SoundEncoder,
} from "../../audio/sound-encoder.ts";
import type { LocalTtsModel } from "../../domain/model.ts";
import { speakersOf } from "../../lib/speakers.ts";
import type { Lease, LoadedModels } from "../loaded-models.ts";
import { clientOf, jsonBody, openAiError, parse } from "../openai-http.ts";
import { begun, withSigns } from "../signs-of-life.ts";
import { SPEECH_RATE } from "../voice.ts";

const NO_AAC =
  "aac is not made here: its free encoders may not be passed on with this program. Ask for mp3 or opus";

/** A field whose `null` means the same as nothing, as in OpenAI's API. */
function optional<T extends z.ZodType, D>(type: T, fallback: D) {
  return type.nullish().transform((value): z.output<T> | D => value ?? fallback);
}

/**
 * https://platform.openai.com/docs/api-reference/audio/createSpeech. `instructions` are accepted,
 * and no local voice can follow them; `language` is an addition, for voices of several languages.
 */
const speechRequest = z.object({
  model: z.string(),
  input: z.string().max(4096).regex(/\S/, "has nothing to speak"),
  voice: optional(
    z.union([
      z.string(),
      z.int().transform(String),
      z.object({ id: z.string() }).transform(({ id }) => id),
    ]),
    "",
  ),
  response_format: optional(
    z.enum(ENCODED_FORMATS, {
      error: ({ input }) =>
        input === "aac" ? NO_AAC : `must be one of ${ENCODED_FORMATS.join(", ")}`,
    }),
    "mp3" as const,
  ),
  speed: optional(z.number().min(0.25).max(4), 1),
  stream_format: optional(
    z.enum(["audio", "sse"], { error: "must be audio or sse" }),
    "audio" as const,
  ),
  instructions: z.string().max(4096).nullish(),
  language: optional(
    z.string().regex(/^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$/, "must be a language tag such as en-GB"),
    undefined,
  ),
  user: z.string().max(256).nullish(),
});

/**
 * `POST /v1/audio/speech`: audio is sent while it is synthesised, sentence by sentence.
 * `GET /v1/audio/voices`: the speakers of each voice.
 */
export function speech({ models, logger }: { models: LoadedModels; logger: Logger }): Hono {
  const app = new Hono();
  app.post("/v1/audio/speech", async (c) => {
    const body = parse(speechRequest, await jsonBody(c.req));
    const lease = await models.acquire("tts", body.model);
    const disconnected = new AbortController();
    const signal = AbortSignal.any([c.req.raw.signal, disconnected.signal]);
    try {
      const client = clientOf(c.req.raw, body.user) ?? randomUUID();
      const spoken = lease.model.speak(body.input, { ...body, client, signal });
      const pieces = await begun(counted(spoken, lease));
      const encoder = await createSoundEncoder(body.response_format, SPEECH_RATE);
      const isEvents = body.stream_format === "sse";
      const sound = encoded(withSigns(pieces, SPEECH_RATE), encoder);
      const stream = streamOf(isEvents ? asEvents(sound) : sound, {
        onError: (error) => {
          if (!signal.aborted) logger.error({ err: error }, "speech broke off");
        },
        onEnd: () => {
          disconnected.abort();
          lease[Symbol.dispose]();
        },
      });
      const type = isEvents ? "text/event-stream" : CONTENT_TYPES[body.response_format];
      return new Response(stream, { headers: { "Content-Type": type } });
    } catch (error) {
      lease[Symbol.dispose]();
      throw error;
    }
  });
  app.get("/v1/audio/voices", async (c) => {
    const wanted = c.req.query("model");
    const voices = models.models
      .filter((model) => model.stage === "tts")
      .filter(({ id }) => wanted === undefined || id === wanted);
    const listed = (await Promise.all(voices.map((model) => listOf(model, logger)))).flat();
    // OpenAI's lists have `data`; programs that choose a voice read `voices`.
    return c.json({ object: "list", data: listed, voices: listed });
  });
  return app;
}

async function listOf(model: LocalTtsModel, logger: Logger) {
  const speakers = await speakersOf(model).catch((err: unknown) => {
    logger.warn({ err, model: model.id }, "the speakers of a voice cannot be read");
    return [];
  });
  return speakers.map(({ id, name, language, gender }) => {
    return { object: "voice", id, name, language, gender: gender ?? null, model: model.id };
  });
}

async function* counted(pieces: AsyncGenerator<Int16Array>, lease: Lease<"tts">) {
  for await (const pcm of pieces) {
    lease.count(pcm.length / SPEECH_RATE);
    yield pcm;
  }
}

/** The head does not wait for the first piece, so that a client sees that its request is served. */
async function* encoded(
  pieces: AsyncGenerator<Int16Array>,
  encoder: SoundEncoder,
): AsyncGenerator<Uint8Array> {
  yield encoder.head;
  for await (const pcm of pieces) yield encoder.encode(pcm);
  yield encoder.end();
}

/** https://platform.openai.com/docs/api-reference/audio/speech-audio-delta-event */
async function* asEvents(sound: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    for await (const bytes of sound) {
      if (bytes.length === 0) continue;
      yield event({ type: "speech.audio.delta", audio: Buffer.from(bytes).toString("base64") });
    }
    // Local voices count no tokens.
    const usage = { input_tokens: 0, output_tokens: 0, total_tokens: 0 };
    yield event({ type: "speech.audio.done", usage });
  } catch (error) {
    yield event({ type: "error", error: openAiError(error).error });
    throw error;
  }
}

function event(data: { type: string; [field: string]: unknown }): Uint8Array {
  return Buffer.from(`event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`);
}

interface StreamEnd {
  onError(error: unknown): void;
  /** Once, whatever ends the stream. */
  onEnd(): void;
}

function streamOf(
  chunks: AsyncGenerator<Uint8Array>,
  { onError, onEnd }: StreamEnd,
): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        let next = await chunks.next();
        while (!next.done && next.value.length === 0) next = await chunks.next();
        if (!next.done) return controller.enqueue(next.value);
        onEnd();
        controller.close();
      } catch (error) {
        onError(error);
        onEnd();
        controller.error(error);
      }
    },
    cancel: onEnd,
  });
}
