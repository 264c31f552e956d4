import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { pcmBytes, pcmOf } from "../../src/lib/wav.ts";
import { ffmpeg } from "./encode.ts";
import { AUDIO_CACHE, keep } from "./espeak.ts";

/**
 * What is left of mono PCM at 48 kHz after a call: encoded by Opus as WebRTC does and decoded to
 * `rate` Hz, by ffmpeg, and kept on disk by the hash of what went in.
 *
 * @throws Error with what ffmpeg says when it fails or is missing.
 */
export function throughOpus(pcm: Int16Array, rate: number, kilobits = 28): Int16Array {
  const hash = createHash("sha256").update(pcmBytes(pcm)).update(`opus ${rate} ${kilobits}`);
  const file = path.join(AUDIO_CACHE, `${hash.digest("hex").slice(0, 24)}.pcm`);
  if (existsSync(file)) return pcmOf(readFileSync(file));
  const raw = (hertz: number) => ["-f", "s16le", "-ar", String(hertz), "-ac", "1"];
  const codec = ["-c:a", "libopus", "-b:a", `${kilobits}k`, "-application", "voip", "-f", "ogg"];
  const encoded = ffmpeg([...raw(48_000), "-i", "-", ...codec, "-"], pcmBytes(pcm));
  const decoded = ffmpeg(["-i", "-", ...raw(rate), "-"], encoded);
  keep(file, decoded);
  return pcmOf(decoded);
}
