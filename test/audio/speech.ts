import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import path from "node:path";
import { wav } from "../../src/lib/wav.ts";
import {
  AUDIO_CACHE,
  ESPEAK_RATE,
  type EspeakOptions,
  keep,
  type SpokenWord,
  synthesise,
  wordStarts,
} from "./espeak.ts";
import { levels, listen, rmsOf } from "./listen.ts";
import { resample } from "./resample.ts";

/** How a text is spoken. */
export interface SpeakOptions {
  /** Sample rate of the answer in Hz; 24,000 by default. */
  rate?: number;
  /** espeak-ng voice, with an optional variant: `en-us` (default), `en-us+f3`, `en-gb+m4`. */
  voice?: string;
  /** Speed; 165 by default. */
  wordsPerMinute?: number;
}

/** What a fake microphone hears: speech, then silence of so many ms, or a cough of so many ms. */
export type Element =
  | ({ say: string } & Omit<SpeakOptions, "rate">)
  | { pause: number }
  | { cough: number };

/** When something in a conversation is audible; ms from the start of the file. */
export interface Heard {
  kind: "speech" | "cough";
  /** What is said; empty for a cough. */
  text: string;
  startMs: number;
  endMs: number;
}

/** A WAV file for a fake microphone and what is in it. */
export interface Conversation {
  /** Absolute path of the WAV file (48 kHz, mono, 16-bit). */
  path: string;
  timeline: Heard[];
  durationMs: number;
}

/** Silence around a conversation. */
export interface ConversationOptions {
  /** Silence before the first element, in ms: time for the page to connect. 3,000 by default. */
  leadMs?: number;
  /** Silence after the last element, in ms. 1,000 by default. */
  trailMs?: number;
}

const DEFAULT_VOICE = "en-us";
const DEFAULT_WORDS_PER_MINUTE = 165;
const MICROPHONE_RATE = 48_000;
/** Level of speech, and of the room behind it, that a headset microphone gives (dBFS, RMS). */
const SPEECH_DB = -20;
const NOISE_DB = -78;

interface Spoken {
  /** At `ESPEAK_RATE`, without silence at either end. */
  pcm: Int16Array;
  /** What espeak-ng gave, and the samples of silence that `pcm` no longer has at its start. */
  raw: Int16Array;
  cut: number;
}

const spoken = new Map<string, Spoken>();

function spokenBy(text: string, options: Omit<SpeakOptions, "rate">): Spoken {
  const { voice, wordsPerMinute } = complete(options);
  const key = JSON.stringify([text, voice, wordsPerMinute]);
  const known = spoken.get(key);
  if (known !== undefined) return known;
  const raw = synthesise(text, { voice, wordsPerMinute });
  const made = { raw, ...trimmed(levelled(raw)) };
  spoken.set(key, made);
  return made;
}

function complete(options: Omit<SpeakOptions, "rate">): EspeakOptions {
  const { voice = DEFAULT_VOICE, wordsPerMinute = DEFAULT_WORDS_PER_MINUTE } = options;
  return { voice, wordsPerMinute };
}

/**
 * Speaks a text as `speak` does, at `ESPEAK_RATE`, and tells at which sample each word begins.
 *
 * @throws Error when espeak-ng is missing or does not know the voice.
 */
export function utter(
  text: string,
  options: Omit<SpeakOptions, "rate"> = {},
): { pcm: Int16Array; words: SpokenWord[] } {
  const { pcm, raw, cut } = spokenBy(text, options);
  const words = wordStarts(text, complete(options), raw);
  return { pcm, words: words.map((word) => ({ ...word, start: Math.max(0, word.start - cut) })) };
}

/**
 * Speaks a text with espeak-ng at about -20 dBFS: mono PCM at `rate` Hz without silence at either
 * end. Empty for a text in which nothing can be spoken.
 *
 * @throws Error when espeak-ng is missing or does not know the voice.
 */
export function speak(text: string, options: SpeakOptions = {}): Int16Array {
  return resample(spokenBy(text, options).pcm, ESPEAK_RATE, options.rate ?? 24_000);
}

/**
 * Makes the recording that a fake microphone plays, for Chromium's
 * `--use-file-for-fake-audio-capture=FILE%noloop`: silence, the elements one after the other, and
 * silence, with a faint noise floor so that voice activity detection meets no digital zero.
 * The file lies in the repository's `.cache/audio` under the hash of its content.
 *
 * @returns the file and when each utterance is audible in it
 * @throws Error when espeak-ng is missing, or the file cannot be written.
 */
export function conversation(
  elements: readonly Element[],
  options: ConversationOptions = {},
): Conversation {
  const { leadMs = 3000, trailMs = 1000 } = options;
  const parts = [{ pause: leadMs }, ...elements, { pause: trailMs }].map(render);
  const pcm = noiseFloor(parts.reduce((sum, part) => sum + part.pcm.length, 0));
  const timeline: Heard[] = [];
  let at = 0;
  for (const part of parts) {
    for (let i = 0; i < part.pcm.length; i++) pcm[at + i] = (pcm[at + i] ?? 0) + (part.pcm[i] ?? 0);
    const spans = listen(part.pcm, MICROPHONE_RATE, { bridgeMs: Number.POSITIVE_INFINITY });
    for (const { startMs, endMs } of spans) {
      const offset = toMs(at);
      const heard = { startMs: offset + startMs, endMs: offset + endMs };
      timeline.push({ kind: part.kind, text: part.text, ...heard });
    }
    at += part.pcm.length;
  }
  return { path: store(wav(pcm, MICROPHONE_RATE)), timeline, durationMs: toMs(pcm.length) };
}

/** A cough: a sharp burst of low-passed noise and its tail, mono PCM at `rate` Hz. */
export function cough(ms: number, rate: number): Int16Array {
  const out = new Float64Array(Math.round((rate * ms) / 1000));
  const random = noise(7);
  const decay = (rate * ms) / 1000 / 5;
  const smooth = 1 - Math.exp((-2 * Math.PI * 1800) / rate);
  let low = 0;
  for (let i = 0; i < out.length; i++) {
    low += smooth * (random() - low);
    const attack = Math.min(1, i / (rate * 0.004));
    out[i] = low * attack * Math.exp(-i / decay);
  }
  const peak = out.reduce((max, value) => Math.max(max, Math.abs(value)), 1e-9);
  return Int16Array.from(out, (value) => (value / peak) * 0.6 * 32_767);
}

function toMs(samples: number): number {
  return (samples / MICROPHONE_RATE) * 1000;
}

function render(element: Element): { pcm: Int16Array; kind: Heard["kind"]; text: string } {
  if ("say" in element) {
    const pcm = speak(element.say, { ...element, rate: MICROPHONE_RATE });
    return { pcm, kind: "speech", text: element.say };
  }
  if ("cough" in element) {
    return { pcm: cough(element.cough, MICROPHONE_RATE), kind: "cough", text: "" };
  }
  const silence = new Int16Array(Math.round((MICROPHONE_RATE * element.pause) / 1000));
  return { pcm: silence, kind: "speech", text: "" };
}

/** Brings the spoken parts (not the pauses between them) to the level of a microphone. */
function levelled(pcm: Int16Array): Int16Array {
  const frames = levels(pcm, ESPEAK_RATE).filter(({ rms }) => rms > 0.003);
  const power = frames.reduce((sum, { rms }) => sum + rms * rms, 0) / Math.max(1, frames.length);
  const peak = pcm.reduce((max, sample) => Math.max(max, Math.abs(sample)), 1) / 32_768;
  const wanted = 10 ** (SPEECH_DB / 20) / Math.sqrt(power || 1);
  const gain = Math.min(wanted, 0.97 / peak);
  return pcm.map((sample) => Math.round(sample * gain));
}

function trimmed(pcm: Int16Array): { pcm: Int16Array; cut: number } {
  const sound = listen(pcm, ESPEAK_RATE, { thresholdDb: -60, bridgeMs: Number.POSITIVE_INFINITY });
  const span = sound.at(0);
  if (span === undefined) return { pcm: new Int16Array(), cut: 0 };
  const cut = Math.round((span.startMs * ESPEAK_RATE) / 1000);
  return { pcm: pcm.slice(cut, Math.round((span.endMs * ESPEAK_RATE) / 1000)), cut };
}

/** White noise between -1 and 1 that is the same in every run (Numerical Recipes' LCG). */
function noise(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

function noiseFloor(samples: number): Int16Array {
  const random = noise(1);
  // A uniform value between -1 and 1 has an RMS of 1/sqrt(3).
  const amplitude = 10 ** (NOISE_DB / 20) * 32_768 * Math.sqrt(3);
  return new Int16Array(samples).map(() => Math.round(random() * amplitude));
}

function store(bytes: Uint8Array): string {
  const hash = createHash("sha256").update(bytes).digest("hex").slice(0, 24);
  const file = path.join(AUDIO_CACHE, `${hash}.wav`);
  if (!existsSync(file)) keep(file, bytes);
  return file;
}

/** Loudness of speech in dBFS, for a test that wants to know. */
export function loudness(pcm: Int16Array): number {
  return 20 * Math.log10(rmsOf(pcm));
}
