import type { StageProviders } from "../../domain/stage.ts";
import { wav } from "../../lib/wav.ts";
import { authorization, realtimeUrl } from "../../providers/provider-check.ts";
import { createProviderClient } from "../../providers/provider-client.ts";
import { VoiceServer } from "../../providers/voice-server.ts";
import { sttModelFor } from "../../session/session-plan.ts";

// The smallest real request to each stage. Each function throws what `describeProviderError`
// understands.

/** What a request found. */
export interface Measured {
  /** Until the answer began. */
  ms: number;
  /** What else there is to say about the server, to be put after its name. */
  remark?: string | undefined;
}

const TIMEOUTS = { answerMs: 7000, idleMs: 4000 };
const REALTIME_TIMEOUT_MS = 7000;
const RATE = 24_000;

/** Uploads half a second of audio for transcription. */
export async function transcribe({ stt }: StageProviders): Promise<Measured> {
  const client = createProviderClient(stt, TIMEOUTS);
  const file = new File([wav(vowel(), RATE)], "audio.wav", { type: "audio/wav" });
  const startedAt = performance.now();
  await client.audio.transcriptions.create({ file, model: sttModelFor(stt, false) });
  return { ms: performance.now() - startedAt };
}

/** Asks the language model for one word, and measures the time to its first token. */
export async function firstToken({ llm }: StageProviders): Promise<Measured> {
  const client = createProviderClient(llm, TIMEOUTS);
  const startedAt = performance.now();
  // Servers differ in how an answer is limited to one token; all of them stop on disconnect.
  const stream = await client.chat.completions.create({
    model: llm.model,
    stream: true,
    messages: [{ role: "user", content: "Say: yes" }],
  });
  for await (const part of stream) {
    if (!part.choices[0]?.delta.content) continue;
    const ms = performance.now() - startedAt;
    stream.controller.abort();
    return { ms };
  }
  throw new Error("the answer had no words");
}

/** Synthesises one word, and measures the time to its first sound. */
export async function firstAudio({ tts }: StageProviders): Promise<Measured> {
  const server = new VoiceServer({ ...tts, client: createProviderClient(tts, TIMEOUTS) });
  const startedAt = performance.now();
  const { format, pieces } = await server.speak("Hello.");
  const ms = performance.now() - startedAt;
  // Read to its end, since a conversation would meet what is wrong there too.
  for await (const _ of pieces);
  return { ms, remark: format === "PCM" ? undefined : `sends ${format}, which Parley decodes` };
}

/**
 * Transcribes half a second of audio over OpenAI's realtime WebSocket.
 *
 * @throws Error without the server's message, which may quote the key
 */
export async function transcribeRealtime(stt: StageProviders["stt"]): Promise<Measured> {
  const model = sttModelFor(stt, true);
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const socket = new WebSocket(realtimeUrl(stt.baseURL, model), { headers: authorization(stt) });
  const timer = setTimeout(
    () => reject(new Error("timeout: no transcript arrived")),
    REALTIME_TIMEOUT_MS,
  );
  let sentAt = 0;
  socket.onopen = () => {
    for (const message of realtimeMessages(model)) socket.send(JSON.stringify(message));
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
    return { ms: await promise };
  } finally {
    clearTimeout(timer);
    socket.close();
  }
}

function realtimeMessages(model: string): object[] {
  const audio = Buffer.from(vowel().buffer).toString("base64");
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
  const type = field(event, "type");
  const code = field(field(event, "error"), "code");
  return {
    type: typeof type === "string" ? type : undefined,
    status: STATUSES[String(code)] ?? 500,
  };
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}

const SECONDS = 0.5;
const PITCH_HZ = 130;
/** The resonances of an open vowel. */
const FORMANTS_HZ = [700, 1200, 2600];

/** Half a second of a vowel, mono at `RATE`: a sound that a recogniser accepts as speech. */
function vowel(): Int16Array<ArrayBuffer> {
  const samples = new Int16Array(RATE * SECONDS);
  for (let at = 0; at < samples.length; at++) {
    const time = at / RATE;
    let value = 0;
    for (let harmonic = PITCH_HZ; harmonic < 4000; harmonic += PITCH_HZ) {
      const gain = FORMANTS_HZ.reduce((sum, f) => sum + 1 / (1 + ((harmonic - f) / 120) ** 2), 0);
      value += gain * Math.sin(2 * Math.PI * harmonic * time);
    }
    samples[at] = 1500 * value * Math.sin((Math.PI * at) / samples.length);
  }
  return samples;
}
