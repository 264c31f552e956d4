import { pcmBytes, wav } from "../../src/lib/wav.ts";
import { speak } from "../audio/speech.ts";
import { answer, jsonObject, refuse, type StandInContext } from "./answer.ts";
import type { LoggedRequest } from "./log.ts";

/** Sample rate in Hz of the speech that OpenAI makes. */
const SPEECH_RATE = 24_000;

/** 100 ms of speech. */
const PART_BYTES = (SPEECH_RATE / 10) * 2;

/**
 * espeak-ng voices for the names of OpenAI. None of them is `en-us`, with which tests let people
 * speak: so the agent's own voice, should it reach the microphone, is not taken for a person's.
 */
const VOICES: Readonly<Record<string, string>> = {
  alloy: "en-us+f3",
  ash: "en-us+m1",
  coral: "en-us+f2",
  echo: "en-gb+m3",
  fable: "en-gb+f4",
  nova: "en-us+f4",
  onyx: "en-us+m7",
  sage: "en-gb+f2",
  shimmer: "en-gb+f3",
};

const OTHER_VOICE = "en-us+f3";
/** A voice of espeak-ng with a variant, `de+f2`, which a test names to hear another language. */
const ESPEAK_VOICE = /^[a-z]{2,3}\+[fm]\d$/;

/**
 * How the stand-in speaks a text with a voice of OpenAI or of espeak-ng: mono PCM at `SPEECH_RATE`.
 */
export function agentSpeech(text: string, voice: string, wordsPerMinute: number): Int16Array {
  const other = ESPEAK_VOICE.test(voice) ? voice : OTHER_VOICE;
  return speak(text, { voice: VOICES[voice] ?? other, wordsPerMinute, rate: SPEECH_RATE });
}

/**
 * `POST /v1/audio/speech`: the text, really spoken, streamed in parts of 100 ms as `pcm` (24 kHz,
 * 16-bit, mono, little-endian) or `wav`. Unknown voices speak like `alloy`; other formats and
 * malformed bodies: 400.
 */
export async function speech(
  context: StandInContext,
  entry: LoggedRequest,
  request: Request,
): Promise<Response> {
  const body = await jsonObject(request);
  const input = body?.["input"];
  if (body === undefined || typeof input !== "string" || input.trim() === "") {
    return refuse(context, entry, 400, "expected a JSON object with an `input` to speak");
  }
  const format = body["response_format"] ?? "mp3";
  if (format !== "pcm" && format !== "wav") {
    return refuse(context, entry, 400, `response_format ${String(format)} is not supported here`);
  }
  const voice = String(body["voice"] ?? "alloy");
  const speed = typeof body["speed"] === "number" ? body["speed"] : 1;
  const started = performance.now();
  const pcm = agentSpeech(input, voice, context.wordsPerMinute * speed);
  context.log.note(entry, {
    model: String(body["model"] ?? ""),
    text: input,
    voice,
    workMs: performance.now() - started,
    audioMs: (pcm.length / SPEECH_RATE) * 1000,
    streaming: true,
  });
  const bytes = format === "wav" ? wav(pcm, SPEECH_RATE) : pcmBytes(pcm);
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.byteLength; at += PART_BYTES) {
    parts.push(bytes.subarray(at, at + PART_BYTES));
  }
  const type = format === "wav" ? "audio/wav" : "audio/pcm";
  return answer(context, "tts", entry, request, { type, parts });
}
