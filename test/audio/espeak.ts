import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pcmBytes, readWav } from "../../src/lib/wav.ts";

/** Sample rate in Hz of everything that espeak-ng speaks. */
export const ESPEAK_RATE = 22_050;

/** A stretch of speech that belongs to one or more words that espeak-ng speaks as one. */
export interface SpokenWord {
  /** The words as they were written, punctuation included; "of the" can be one entry. */
  text: string;
  /** First sample of the word, at `ESPEAK_RATE`. */
  start: number;
}

/** How to speak: an espeak-ng voice with an optional variant, such as `en-us+f3`. */
export interface EspeakOptions {
  voice: string;
  wordsPerMinute: number;
}

/** Where test audio is kept, by the hash of its content. */
export const AUDIO_CACHE = path.join(import.meta.dir, "..", "..", ".cache", "audio");

/**
 * Speaks a text with the `espeak-ng` command, in about 15 ms: mono PCM at `ESPEAK_RATE`, the same
 * each time.
 *
 * @throws Error when espeak-ng is not installed, or does not know the voice.
 */
export function synthesise(text: string, options: EspeakOptions): Int16Array {
  const speed = String(Math.round(options.wordsPerMinute));
  const command = ["espeak-ng", "-v", options.voice, "-s", speed, "--stdin", "--stdout"];
  const { success, stdout, stderr } = Bun.spawnSync(command, { stdin: Buffer.from(text) });
  if (!success) {
    const why = stderr.toString().trim() || "it failed";
    throw new Error(`espeak-ng could not speak "${text}" as ${options.voice}: ${why}`);
  }
  return stdout.length === 0 ? new Int16Array() : readWav(stdout).pcm;
}

/**
 * Where the words of a text begin in the samples that `synthesise` made of it. They come from the
 * library of espeak-ng, as its command does not tell them, in about 50 ms, and are kept on disk.
 *
 * @throws Error when libespeak-ng is not installed.
 */
export function wordStarts(text: string, options: EspeakOptions, pcm: Int16Array): SpokenWord[] {
  const key = createHash("sha256").update(text).update("\0").update(pcmBytes(pcm)).digest("hex");
  const file = path.join(AUDIO_CACHE, `${key.slice(0, 24)}.words.json`);
  if (existsSync(file)) return JSON.parse(readFileSync(file, "utf8")) as SpokenWord[];
  const script = path.join(import.meta.dir, "word-starts.ts");
  const speed = String(Math.round(options.wordsPerMinute));
  const run = Bun.spawnSync([process.execPath, script, text, options.voice, speed]);
  if (!run.success) throw new Error(`no word timings for "${text}": ${run.stderr.toString()}`);
  keep(file, run.stdout);
  return JSON.parse(run.stdout.toString()) as SpokenWord[];
}

/** Writes beside and renames, so that another test process never reads half a file. */
export function keep(file: string, bytes: Uint8Array): void {
  mkdirSync(path.dirname(file), { recursive: true });
  const partial = `${file}.${process.pid}.partial`;
  writeFileSync(partial, bytes);
  renameSync(partial, file);
}
