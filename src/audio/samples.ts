import { type Audio, pcmOf } from "../lib/wav.ts";
import { joined, NotPlayable, type SoundDecoder } from "./sound-decoder.ts";

/** How one sample is stored: unsigned, signed or floating point with its bits, or G.711. */
export type Encoding = "u8" | "s8" | "s16" | "s24" | "s32" | "f32" | "f64" | "alaw" | "mulaw";

export interface SampleFormat {
  encoding: Encoding;
  /** In Hz. */
  rate: number;
  channels: number;
  bigEndian?: boolean;
}

/** More channels or another rate are a sign of a broken header, not of speech. */
const MAX_CHANNELS = 32;
const RATES = { min: 2000, max: 400_000 };

const BYTES: Readonly<Record<Encoding, number>> = {
  u8: 1,
  s8: 1,
  s16: 2,
  s24: 3,
  s32: 4,
  f32: 4,
  f64: 8,
  alaw: 1,
  mulaw: 1,
};

/** Reads bare samples; several channels are averaged to one. Half a sample waits for its rest. */
export class SampleReader implements SoundDecoder {
  readonly #format: SampleFormat;
  readonly #frameBytes: number;
  #rest: Uint8Array = new Uint8Array();

  /** @throws NotPlayable for impossible rates and channels */
  constructor(format: SampleFormat) {
    const { rate, channels, encoding } = format;
    if (channels < 1 || channels > MAX_CHANNELS || !(rate >= RATES.min && rate <= RATES.max)) {
      throw new NotPlayable("format", `${channels} channels at ${rate} Hz`);
    }
    this.#format = format;
    this.#frameBytes = BYTES[encoding] * channels;
  }

  push(bytes: Uint8Array): Audio[] {
    const all = joined(this.#rest, bytes);
    const whole = all.length - (all.length % this.#frameBytes);
    // Copied, so that the memory of a long answer is not held by its last bytes.
    this.#rest = all.slice(whole);
    if (whole === 0) return [];
    return [{ pcm: this.#read(all.subarray(0, whole)), rate: this.#format.rate }];
  }

  /** Half a sample at the end is no sound. */
  end(): Audio[] {
    return [];
  }

  close(): void {}

  #read(bytes: Uint8Array): Int16Array {
    const { encoding, channels, bigEndian = false } = this.#format;
    if (encoding === "s16" && channels === 1 && !bigEndian) return pcmOf(bytes);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const read = READERS[encoding];
    const size = BYTES[encoding];
    const pcm = new Int16Array(bytes.length / this.#frameBytes);
    for (let i = 0, at = 0; i < pcm.length; i++) {
      let sum = 0;
      for (let channel = 0; channel < channels; channel++, at += size) {
        sum += read(view, at, !bigEndian);
      }
      pcm[i] = clipped(sum / channels);
    }
    return pcm;
  }
}

function clipped(value: number): number {
  return Math.max(-32_768, Math.min(32_767, Math.round(value)));
}

type ReadSample = (view: DataView, at: number, littleEndian: boolean) => number;

/** Each returns a sample as 16-bit PCM has it, with its fraction. */
const READERS: Readonly<Record<Encoding, ReadSample>> = {
  u8: (view, at) => (view.getUint8(at) - 128) * 256,
  s8: (view, at) => view.getInt8(at) * 256,
  s16: (view, at, little) => view.getInt16(at, little),
  s24: (view, at, little) =>
    view.getInt8(little ? at + 2 : at) * 256 +
    view.getUint8(at + 1) +
    view.getUint8(little ? at : at + 2) / 256,
  s32: (view, at, little) => view.getInt32(at, little) / 65_536,
  f32: (view, at, little) => finite(view.getFloat32(at, little)) * 32_768,
  f64: (view, at, little) => finite(view.getFloat64(at, little)) * 32_768,
  alaw: (view, at) => alaw(view.getUint8(at)),
  mulaw: (view, at) => mulaw(view.getUint8(at)),
};

function finite(value: number): number {
  return Number.isFinite(value) ? value : 0;
}

/** ITU-T G.711, A-law. */
function alaw(byte: number): number {
  const bits = byte ^ 0x55;
  const exponent = (bits >> 4) & 7;
  const mantissa = ((bits & 0x0f) << 4) + 8;
  const value = exponent === 0 ? mantissa : (mantissa + 0x100) << (exponent - 1);
  return bits & 0x80 ? value : -value;
}

/** ITU-T G.711, µ-law. */
function mulaw(byte: number): number {
  const bits = ~byte & 0xff;
  const value = ((((bits & 0x0f) << 3) + 0x84) << ((bits >> 4) & 7)) - 0x84;
  return bits & 0x80 ? -value : value;
}
