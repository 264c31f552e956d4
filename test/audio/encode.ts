import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pcmBytes } from "../../src/lib/wav.ts";

/** How a voice server may send its sound. */
export interface Encoding {
  /** ffmpeg's codec and container, such as `libmp3lame` and `mp3`. */
  codec: string;
  container: string;
  /** In Hz; that of the sound if undefined. */
  rate?: number;
  channels?: number;
  /** More options for ffmpeg's output. */
  options?: readonly string[];
}

/**
 * Mono PCM as a file of another format, by ffmpeg.
 *
 * @throws Error with what ffmpeg says when it fails or is missing.
 */
export function encode(pcm: Int16Array, rate: number, encoding: Encoding): Uint8Array<ArrayBuffer> {
  const { codec, container, channels = 1, options = [] } = encoding;
  const folder = mkdtempSync(path.join(tmpdir(), "parley-sound-"));
  const file = path.join(folder, "sound");
  try {
    const input = ["-f", "s16le", "-ar", String(rate), "-ac", "1", "-i", "-"];
    const output = ["-ar", String(encoding.rate ?? rate), "-ac", String(channels), "-c:a", codec];
    // To a file, since some headers are completed at the end.
    ffmpeg([...input, ...output, ...options, "-f", container, file], pcmBytes(pcm));
    return new Uint8Array(readFileSync(file));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs ffmpeg. @returns what it writes to its standard output @throws Error with what it says */
export function ffmpeg(args: string[], input: Uint8Array): Uint8Array {
  const run = Bun.spawnSync(["ffmpeg", "-loglevel", "error", ...args], { stdin: input });
  if (!run.success) throw new Error(`ffmpeg failed: ${run.stderr.toString()}`);
  return run.stdout;
}
