import { z } from "zod";
import { Failure, messageOf } from "../errors.ts";
import { linesOf } from "../lib/child-output.ts";
import { parseJson } from "../lib/json.ts";
import { readWav } from "../lib/wav.ts";

/** A model behind OpenAI's interface. */
export interface ServedModel {
  /** In the form of `OPENAI_BASE_URL`. */
  baseURL: string;
  apiKey: string;
  id: string;
}

/** How a language model answered one request. */
export interface TimedAnswer {
  /** Tokens that it read; those that it knew from an earlier request are not among them. */
  promptTokens: number;
  answerTokens: number;
  /** From the request to the first token, in ms. */
  firstTokenMs: number;
  /** From the first token to the last, and the longest time between two, in ms. */
  answerMs: number;
  longestGapMs: number;
  text: string;
}

export interface Message {
  role: "system" | "user" | "assistant";
  content: string;
}

export interface Question {
  messages: readonly Message[];
  maxTokens: number;
  /** The conversation that it belongs to. */
  client: string;
}

/** A slow machine reads a long prompt for minutes; after this nobody would want the model. */
const REQUEST_MS = 15 * 60_000;

/** Asks a language model and watches its answer arrive. @throws Failure with the server's message */
export async function timedAnswer(
  { baseURL, apiKey, id }: ServedModel,
  { messages, maxTokens, client }: Question,
  signal?: AbortSignal,
): Promise<TimedAnswer> {
  const startedAt = performance.now();
  const body = await post(`${baseURL}/chat/completions`, apiKey, signal, {
    model: id,
    user: client,
    stream: true,
    stream_options: { include_usage: true },
    max_tokens: maxTokens,
    messages,
  });
  const times: number[] = [];
  let text = "";
  let usage: z.infer<typeof chunk>["usage"];
  for await (const line of linesOf(body)) {
    if (!line.startsWith("data: ")) continue;
    const { data } = chunk.safeParse(parseJson(line.slice("data: ".length)));
    if (data?.error) throw new Failure("upstream_failed", data.error.message);
    usage = data?.usage ?? usage;
    const piece = data?.choices?.[0]?.delta.content;
    if (!piece) continue;
    text += piece;
    times.push(performance.now());
  }
  if (!usage) throw new Failure("upstream_failed", `${id} broke its answer off`);
  const first = times[0] ?? performance.now();
  const gaps = times.slice(1).map((at, i) => at - (times[i] ?? at));
  return {
    promptTokens: usage.prompt_tokens - (usage.prompt_tokens_details?.cached_tokens ?? 0),
    answerTokens: usage.completion_tokens,
    firstTokenMs: first - startedAt,
    answerMs: (times.at(-1) ?? first) - first,
    longestGapMs: Math.max(0, ...gaps),
    text,
  };
}

export interface TimedSpeech {
  firstSoundMs: number;
  /** The time of the work by the time of the audio. */
  realTimeFactor: number;
  wav: Uint8Array<ArrayBuffer>;
}

/** Has a voice say a text. @throws Failure with the server's message */
export async function timedSpeech(
  { baseURL, apiKey, id }: ServedModel,
  input: string,
  signal?: AbortSignal,
): Promise<TimedSpeech> {
  const startedAt = performance.now();
  const request = { model: id, voice: "alloy", input, response_format: "wav" };
  const body = await post(`${baseURL}/audio/speech`, apiKey, signal, request);
  const pieces: Uint8Array[] = [];
  let firstSoundMs = Number.NaN;
  for await (const piece of body) {
    if (pieces.length === 0) firstSoundMs = performance.now() - startedAt;
    pieces.push(piece);
  }
  const wav = new Uint8Array(Buffer.concat(pieces));
  const realTimeFactor = (performance.now() - startedAt) / lengthMs(wav);
  return { firstSoundMs, realTimeFactor, wav };
}

/** Has a recogniser hear a recording. @returns the time of the work by the time of the audio */
export async function timedHearing(
  { baseURL, apiKey, id }: ServedModel,
  wav: Uint8Array<ArrayBuffer>,
  signal?: AbortSignal,
): Promise<number> {
  const form = new FormData();
  form.set("model", id);
  form.set("file", new File([wav], "speech.wav", { type: "audio/wav" }));
  const startedAt = performance.now();
  for await (const _ of await post(`${baseURL}/audio/transcriptions`, apiKey, signal, form));
  return (performance.now() - startedAt) / lengthMs(wav);
}

/** The length of a recording, in ms. */
export function lengthMs(wav: Uint8Array): number {
  const { pcm, rate } = readWav(wav);
  return (pcm.length / rate) * 1000;
}

const errorBody = z.object({ error: z.object({ message: z.string() }) });
const chunk = z.object({
  choices: z.array(z.object({ delta: z.object({ content: z.string().nullish() }) })).optional(),
  usage: z
    .object({
      prompt_tokens: z.number(),
      completion_tokens: z.number(),
      prompt_tokens_details: z.object({ cached_tokens: z.number() }).nullish(),
    })
    .nullish(),
  error: z.object({ message: z.string() }).nullish(),
});

async function post(
  url: string,
  apiKey: string,
  signal: AbortSignal | undefined,
  body: FormData | object,
): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  const isForm = body instanceof FormData;
  const deadline = AbortSignal.timeout(REQUEST_MS);
  const response = await fetch(url, {
    method: "POST",
    headers: {
      Authorization: `Bearer ${apiKey}`,
      ...(!isForm && { "Content-Type": "application/json" }),
    },
    body: isForm ? body : JSON.stringify(body),
    signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
  }).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw new Failure("upstream_failed", `the model gave no answer: ${messageOf(error)}`);
  });
  if (response.ok && response.body) return response.body;
  const { data } = errorBody.safeParse(parseJson(await response.text()));
  throw new Failure(
    "upstream_failed",
    data?.error.message ?? `the engine answered ${response.status}`,
  );
}
