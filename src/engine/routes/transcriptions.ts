import { randomUUID } from "node:crypto";
import { type Context, Hono } from "hono";
import { streamSSE } from "hono/streaming";
import type { Logger } from "pino";
import { z } from "zod";
import { type AudioTools, PAUSES, RECOGNISER_RATE } from "../audio-tools.ts";
import type { Lease, LoadedModels } from "../loaded-models.ts";
import { clientOf, openAiError, parse, refusal } from "../openai-http.ts";
import { readSound } from "../sound-file.ts";
import { languageFor } from "../spoken-language.ts";
import {
  jsonTranscript,
  srt,
  type Transcript,
  usageOf,
  verboseTranscript,
  vtt,
} from "../transcript-formats.ts";
import { type Segment, textOf } from "../utterance.ts";
import { joinedTexts } from "../words.ts";

interface Deps {
  models: LoadedModels;
  audioTools: () => Promise<AudioTools>;
  logger: Logger;
}

const FORMATS = ["json", "text", "srt", "vtt", "verbose_json"] as const;
/** Python's `True` is what some clients send. */
const flag = z
  .string()
  .toLowerCase()
  .pipe(z.enum(["true", "false"], { error: "must be true or false" }));

/**
 * https://platform.openai.com/docs/api-reference/audio/createTranscription. `prompt` and
 * `temperature` are accepted and change nothing: these recognisers take neither.
 */
const transcriptionRequest = z.object({
  model: z.string({ error: "is missing" }),
  file: z.file({ error: "must be a file" }),
  response_format: z
    .enum(FORMATS, { error: `must be one of ${FORMATS.join(", ")}` })
    .default("json"),
  language: z.string().optional(),
  prompt: z.string().optional(),
  temperature: z.coerce.number().min(0).max(1).optional(),
  stream: flag.default("false"),
  timestamp_granularities: z
    .array(z.enum(["word", "segment"], { error: "must be word or segment" }))
    .optional(),
  include: z.array(z.never({ error: "this engine tells no probabilities" })).optional(),
  user: z.string().max(256).optional(),
});
type TranscriptionRequest = z.infer<typeof transcriptionRequest>;

/** `POST /v1/audio/transcriptions`: the text of a recording, at once or as it is recognised. */
export function transcriptions({ models, audioTools, logger }: Deps): Hono {
  const app = new Hono();
  app.post("/v1/audio/transcriptions", async (c) => {
    const body = await requestOf(c);
    const model = models.check("stt", body.model);
    const language = languageFor(model, body.language, "language");
    const lease = await models.acquire("stt", body.model);
    const gone = new AbortController();
    const signal = AbortSignal.any([c.req.raw.signal, gone.signal]);
    const client = clientOf(c.req.raw, body.user) ?? randomUUID();
    const times = new Set(body.timestamp_granularities ?? ["segment" as const]);
    try {
      if (times.has("word") && !lease.model.timesWords) throw withoutTimes(body.model);
      const tools = await audioTools();
      const heard = hear(lease, tools, { file: body.file, client, language, signal });
      if (body.stream !== "true") return answer(c, body, await whole(heard), times);
      // The stream begins with the first words, so that a failure before them can set the status.
      const first = await heard.next();
      return streamSSE(c, async (stream) => {
        using _lease = lease;
        stream.onAbort(() => gone.abort());
        const send = (event: object) => stream.writeSSE({ data: JSON.stringify(event) });
        try {
          let text = "";
          let next = first;
          for (; !next.done; next = await heard.next()) {
            const longer = joinedTexts(text, next.value.text);
            await send({ type: "transcript.text.delta", delta: longer.slice(text.length) });
            text = longer;
          }
          await send({ type: "transcript.text.done", text, usage: usageOf(next.value) });
        } catch (error) {
          if (signal.aborted) return;
          logger.error({ err: error }, "a streamed transcript broke off");
          await send({ error: openAiError(error).error });
        }
      });
    } catch (error) {
      lease[Symbol.dispose]();
      throw error;
    } finally {
      if (body.stream !== "true") lease[Symbol.dispose]();
    }
  });
  return app;
}

async function requestOf(c: Context): Promise<TranscriptionRequest> {
  const form = await c.req.raw.formData().catch(() => {
    throw refusal("invalid", "The body is not a multipart form.");
  });
  const list = (name: string) => {
    const values = [...form.getAll(name), ...form.getAll(`${name}[]`)];
    return values.length > 0 ? values : undefined;
  };
  const body = parse(transcriptionRequest, {
    ...Object.fromEntries(form),
    timestamp_granularities: list("timestamp_granularities"),
    include: list("include"),
  });
  const { stream, response_format: format, timestamp_granularities: times } = body;
  if (times && format !== "verbose_json") {
    throw refusal("invalid", "timestamp_granularities: response_format must be verbose_json.", {
      param: "timestamp_granularities",
    });
  }
  if (stream === "true" && format !== "json" && format !== "text") {
    throw refusal("invalid", `stream: response_format must be json, not ${format}.`, {
      param: "stream",
    });
  }
  return body;
}

function withoutTimes(model: string) {
  const why = `timestamp_granularities: the model ${model} does not tell when a word was spoken.`;
  return refusal("invalid", why, { param: "timestamp_granularities", code: "unsupported_value" });
}

interface Recording {
  file: File;
  client: string;
  language: string | undefined;
  signal: AbortSignal;
}

/** The segments of a recording, as they become certain. @returns its length in seconds */
async function* hear(lease: Lease<"stt">, tools: AudioTools, recording: Recording) {
  const recogniser = lease.model;
  const { file, client, language, signal } = recording;
  using utterance = recogniser.listen({
    client,
    language,
    detector: () => tools.detector(PAUSES),
  });
  let samples = 0;
  for await (const piece of readSound(file, tools, recogniser.denoiser?.())) {
    signal.throwIfAborted();
    samples += piece.length;
    lease.count(piece.length / RECOGNISER_RATE);
    utterance.push(piece);
    yield* await utterance.take(signal);
  }
  if (samples === 0) {
    throw refusal("invalid", "file: it has no sound.", { param: "file", code: "unsupported_file" });
  }
  yield* await utterance.finish(signal);
  return samples / RECOGNISER_RATE;
}

async function whole(heard: AsyncGenerator<Segment, number>): Promise<Transcript> {
  const segments: Segment[] = [];
  let next = await heard.next();
  for (; !next.done; next = await heard.next()) segments.push(next.value);
  return { segments, seconds: next.value };
}

function answer(
  c: Context,
  body: TranscriptionRequest,
  transcript: Transcript,
  times: ReadonlySet<"word" | "segment">,
): Response {
  switch (body.response_format) {
    case "json":
      return c.json(jsonTranscript(transcript));
    case "text":
      return c.text(`${textOf(transcript.segments)}\n`);
    case "srt":
      return c.text(srt(transcript.segments));
    case "vtt":
      return c.body(vtt(transcript.segments), 200, { "Content-Type": "text/vtt; charset=utf-8" });
    case "verbose_json":
      return c.json(verboseTranscript(transcript, times));
  }
}
