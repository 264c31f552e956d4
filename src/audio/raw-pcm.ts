import { pcmOf } from "../lib/wav.ts";
import type { Encoding, SampleFormat } from "./samples.ts";

/** What Parley asks for: OpenAI's `pcm` is 24 kHz, mono, 16 bit, little-endian. */
const ASKED_RATE = 24_000;
const TELEPHONE_RATE = 8000;

/** How bare samples are stored, by their content type in lower case. */
export function pcmFormat(type: string, head: Uint8Array): SampleFormat {
  const parameter = (pattern: RegExp) => Number(pattern.exec(type)?.[1]) || undefined;
  const channels = parameter(/channels\s*=\D?(\d+)/) ?? 1;
  const encoding = encodingOf(type);
  const usual = encoding === "mulaw" || encoding === "alaw" ? TELEPHONE_RATE : ASKED_RATE;
  const rate = parameter(/rate\s*=\D?(\d+)/) ?? usual;
  const bigEndian = /s16be|big/.test(type) || (/l16|l24/.test(type) && isSmootherSwapped(head));
  return { encoding, rate, channels, bigEndian };
}

function encodingOf(type: string): Encoding {
  if (/mu-?law|u-?law|pcmu|audio\/basic/.test(type)) return "mulaw";
  if (/a-?law|pcma/.test(type)) return "alaw";
  if (/f32|float32|bits?\s*=\D?32.*float|float.*bits?\s*=\D?32|encoding\s*=\D?float/.test(type)) {
    return "f32";
  }
  if (/s32|l32/.test(type)) return "s32";
  if (/s24|l24/.test(type)) return "s24";
  return /u8|l8/.test(type) ? "u8" : "s16";
}

/**
 * RFC 2586 has the samples of `audio/L16` in network byte order, and many servers do not. In the
 * wrong order sound is noise, in which each sample differs much from the one before.
 */
function isSmootherSwapped(head: Uint8Array): boolean {
  const swapped = Buffer.from(head.subarray(0, head.length - (head.length % 2))).swap16();
  return roughness(pcmOf(swapped)) < roughness(pcmOf(head));
}

/** Random bytes as samples: 1/√3 of full scale, and each sample independent of the one before. */
const NOISE = { rms: 0.577, rmsRange: 0.15, roughness: 2, roughnessRange: 0.4, samples: 256 };

/** Whether these are the bytes of something else: read as samples they are loud white noise. */
export function isNoise(
  head: Uint8Array,
  { encoding, bigEndian, channels }: SampleFormat,
): boolean {
  if (encoding !== "s16" || bigEndian || channels > 1) return false;
  const pcm = pcmOf(head);
  if (pcm.length < NOISE.samples) return false;
  const rms = Math.sqrt(energy(pcm) / pcm.length) / 32_768;
  return (
    Math.abs(rms - NOISE.rms) < NOISE.rmsRange &&
    Math.abs(roughness(pcm) - NOISE.roughness) < NOISE.roughnessRange
  );
}

function energy(pcm: Int16Array): number {
  return pcm.reduce((sum, sample) => sum + sample * sample, 0);
}

/** The energy of the steps between samples, compared to that of the samples; 2 for white noise. */
function roughness(pcm: Int16Array): number {
  let steps = 0;
  for (let at = 1; at < pcm.length; at++) steps += ((pcm[at] ?? 0) - (pcm[at - 1] ?? 0)) ** 2;
  return steps / Math.max(1, energy(pcm));
}
