import type { StageProviders } from "../domain/stage.ts";
import { fieldOf } from "../lib/json.ts";
import { type Audio, wav } from "../lib/wav.ts";
import { authorization } from "./authorization.ts";
import { createProviderClient } from "./provider-client.ts";
import { AnswerError } from "./provider-errors.ts";
import { realtimeUrl } from "./realtime-transcription.ts";
import { VoiceServer } from "./voice-server.ts";

// The smallest real request to each stage, as a conversation makes it. Each function throws what
// `describeProviderError` understands.

const TIMEOUTS = { answerMs: 7000, idleMs: 4000 };
const REALTIME_TIMEOUT_MS = 7000;
/** Rate of speech over the realtime WebSocket, in Hz. */
const RATE = 24_000;
/** More than any sentence takes, in seconds. */
const MAX_SPEECH_S = 60;
const MAX_WORDS = 2000;

/** What ends a request early: its deadlines, and a signal of who does not wait any more. */
type Limits = typeof TIMEOUTS & { signal?: AbortSignal };

/** What came of a request, and how long it took in ms. */
export interface Timed {
  /** Until the first word or sound. */
  firstMs: number;
  totalMs: number;
}

/** Transcribes speech by one request. */
export async function transcribe(
  stt: StageProviders["stt"] & { model: string },
  { pcm, rate }: Audio,
  { signal, ...timeouts }: Limits = TIMEOUTS,
): Promise<Timed & { text: string }> {
  const client = createProviderClient(stt, timeouts);
  const file = new File([wav(pcm, rate)], "audio.wav", { type: "audio/wav" });
  const startedAt = performance.now();
  const answer: unknown = await client.audio.transcriptions.create(
    { file, model: stt.model },
    { signal: signal ?? null },
  );
  const totalMs = performance.now() - startedAt;
  const text = typeof answer === "string" ? answer : fieldOf(answer, "text");
  if (typeof text !== "string") throw new AnswerError("empty");
  return { firstMs: totalMs, totalMs, text: text.trim() };
}

/**
 * Asks the language model.
 *
 * @param firstWord whether to stop at its first word
 */
export async function ask(
  llm: StageProviders["llm"],
  { question, firstWord }: { question: string; firstWord: boolean },
  { signal, ...timeouts }: Limits = TIMEOUTS,
): Promise<Timed & { text: string }> {
  const client = createProviderClient(llm, timeouts);
  const startedAt = performance.now();
  const elapsed = () => performance.now() - startedAt;
  // Servers differ in how an answer is limited to one token; all of them stop on disconnect.
  const stream = await client.chat.completions.create(
    {
      model: llm.model,
      stream: true,
      messages: [{ role: "user", content: question }],
    },
    { signal: signal ?? null },
  );
  let firstMs: number | undefined;
  let text = "";
  for await (const part of stream) {
    const words = part.choices?.[0]?.delta?.content;
    if (!words) continue;
    firstMs ??= elapsed();
    text += words;
    if (firstWord || text.length > MAX_WORDS) stream.controller.abort();
    if (firstWord) break;
  }
  if (firstMs === undefined) throw new AnswerError("empty");
  return { firstMs, totalMs: elapsed(), text: text.trim() };
}

/** Synthesises a text, and reads it to its end: a conversation would meet what is wrong there. */
export async function speak(
  tts: StageProviders["tts"],
  text: string,
  { signal, ...timeouts }: Limits = TIMEOUTS,
): Promise<Timed & { format: string; audio: Audio }> {
  const server = new VoiceServer({ ...tts, client: createProviderClient(tts, timeouts) });
  const startedAt = performance.now();
  const { format, pieces } = await server.speak(text, signal);
  const firstMs = performance.now() - startedAt;
  const parts: Int16Array[] = [];
  let [rate, length] = [RATE, 0];
  for await (const piece of pieces) {
    rate = piece.rate;
    length += piece.pcm.length;
    parts.push(piece.pcm);
    if (length > MAX_SPEECH_S * rate) break;
  }
  const pcm = Int16Array.from(parts.flatMap((part) => [...part]));
  return { firstMs, totalMs: performance.now() - startedAt, format, audio: { pcm, rate } };
}

/**
 * Transcribes speech over OpenAI's realtime WebSocket.
 *
 * @param pcm mono, 24 kHz
 * @returns the ms until the transcript
 * @throws Error without the server's message, which may quote the key
 */
export async function transcribeRealtime(
  stt: StageProviders["stt"] & { model: string },
  pcm: Int16Array<ArrayBuffer>,
): Promise<number> {
  const { model } = stt;
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const headers = { ...authorization(stt) };
  const socket = new WebSocket(realtimeUrl(stt.baseURL, model), { headers });
  const timer = setTimeout(
    () => reject(new Error("timeout: no transcript arrived")),
    REALTIME_TIMEOUT_MS,
  );
  let sentAt = 0;
  socket.onopen = () => {
    for (const message of realtimeMessages(model, pcm)) socket.send(JSON.stringify(message));
    sentAt = performance.now();
  };
  socket.onmessage = ({ data }) => {
    const { type, status } = parseEvent(String(data));
    if (type?.endsWith("input_audio_transcription.completed")) resolve(performance.now() - sentAt);
    else if (type === "error" || type?.endsWith("transcription.failed")) {
      reject(Object.assign(new Error("the server reported an error"), { status }));
    }
  };
  socket.onclose = () => reject(new Error("the connection broke"));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.close();
  }
}

function realtimeMessages(model: string, pcm: Int16Array<ArrayBuffer>): object[] {
  const audio = Buffer.from(pcm.buffer).toString("base64");
  const input = { format: { type: "audio/pcm", rate: RATE }, transcription: { model } };
  return [
    // Without turn detection the server waits for the commit, whatever it makes of the sound.
    {
      type: "session.update",
      session: { type: "transcription", audio: { input: { ...input, turn_detection: null } } },
    },
    { type: "input_audio_buffer.append", audio },
    { type: "input_audio_buffer.commit" },
  ];
}

/** The HTTP status that each of OpenAI's error codes stands for. */
const STATUSES: Readonly<Record<string, number>> = {
  invalid_api_key: 401,
  model_not_found: 404,
  rate_limit_exceeded: 429,
  insufficient_quota: 429,
};

function parseEvent(text: string): { type: string | undefined; status: number } {
  const event: unknown = JSON.parse(text);
  const type = fieldOf(event, "type");
  const code = fieldOf(fieldOf(event, "error"), "code");
  return {
    type: typeof type === "string" ? type : undefined,
    status: STATUSES[String(code)] ?? 500,
  };
}
