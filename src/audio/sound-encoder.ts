import { pcmBytes, wavHeader } from "../lib/wav.ts";
import { FlacEncoder } from "./flac-encoder.ts";

/** The formats that a sound can be encoded in, by OpenAI's names. */
export const ENCODED_FORMATS = ["mp3", "opus", "flac", "wav", "pcm"] as const;
export type EncodedFormat = (typeof ENCODED_FORMATS)[number];

export const CONTENT_TYPES: Readonly<Record<EncodedFormat, string>> = {
  mp3: "audio/mpeg",
  opus: "audio/ogg",
  flac: "audio/flac",
  wav: "audio/wav",
  pcm: "audio/pcm",
};

/**
 * Encodes a sound of unknown length while it is made. What has been encoded can be played at once;
 * at most the last 50 ms wait for what follows.
 */
export interface SoundEncoder {
  /** What comes before the first sample; it is never empty, so that a response can begin with it. */
  readonly head: Uint8Array;
  encode(pcm: Int16Array): Uint8Array;
  /** What is left, at the end. */
  end(): Uint8Array;
}

/**
 * The libraries are loaded when they are first needed.
 *
 * @param rate in Hz: 8000, 12000, 16000, 24000 or 48000, which all formats have
 */
export async function createSoundEncoder(
  format: EncodedFormat,
  rate: number,
): Promise<SoundEncoder> {
  switch (format) {
    case "mp3":
      return (await import("./mp3-encoder.ts")).createMp3Encoder(rate);
    case "opus":
      return (await import("./opus-encoder.ts")).createOpusEncoder(rate);
    case "flac":
      return new FlacEncoder(rate);
    case "wav":
      return samplesAfter(wavHeader(rate));
    case "pcm":
      // One silent sample.
      return samplesAfter(new Uint8Array(2));
  }
}

function samplesAfter(head: Uint8Array): SoundEncoder {
  return { head, encode: (pcm) => pcmBytes(pcm), end: () => new Uint8Array() };
}
