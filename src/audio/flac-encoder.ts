import { BitWriter } from "./bit-writer.ts";
import { SampleBlocks } from "./sample-blocks.ts";
import type { SoundEncoder } from "./sound-encoder.ts";

/** Samples of a frame: 48 ms at 24 kHz. */
const BLOCK = 1152;
const BITS = 16;
const MAX_ORDER = 4;
const MAX_RICE = 14;
/** The codes of rates in Hz (RFC 9639, section 9.1.2). */
const RATE_CODES: Readonly<Record<number, number>> = {
  8000: 4,
  16000: 5,
  24000: 7,
  48000: 10,
};
/** The rate is that of the head. */
const RATE_OF_HEAD = 0;

/**
 * Encodes 16-bit mono as FLAC (RFC 9639) with fixed predictors, which make speech about half as
 * large. The head leaves the length and the checksum of the whole open, as the format allows.
 */
export class FlacEncoder implements SoundEncoder {
  readonly head: Uint8Array;
  readonly #rateCode: number;
  readonly #blocks = new SampleBlocks(BLOCK);
  #frames = 0;

  constructor(rate: number) {
    this.#rateCode = RATE_CODES[rate] ?? RATE_OF_HEAD;
    this.head = streamInfo(rate);
  }

  encode(pcm: Int16Array): Uint8Array {
    return Buffer.concat(this.#blocks.push(pcm).map((block) => this.#frame(block)));
  }

  end(): Uint8Array {
    const { rest } = this.#blocks;
    return rest.length === 0 ? new Uint8Array() : this.#frame(rest);
  }

  #frame(pcm: Int16Array): Uint8Array {
    const bits = new BitWriter();
    // The frame's size is written in 16 bits, and it is mono.
    bits.write(0b1111_1111_1111_1000, 16);
    bits.write(0b0111, 4);
    bits.write(this.#rateCode, 4);
    bits.write(0b0000_1000, 8);
    for (const byte of utf8Number(this.#frames)) bits.write(byte, 8);
    this.#frames += 1;
    bits.write(pcm.length - 1, 16);
    bits.write(crc(bits.bytes(), 8, 0x07), 8);
    subframe(bits, pcm);
    bits.align();
    bits.write(crc(bits.bytes(), 16, 0x8005), 16);
    return bits.bytes();
  }
}

/** `fLaC` and the only metadata block (RFC 9639, section 8.2). */
function streamInfo(rate: number): Uint8Array {
  const bits = new BitWriter();
  for (const byte of Buffer.from("fLaC")) bits.write(byte, 8);
  bits.write(0x80, 8);
  bits.write(34, 24);
  bits.write(BLOCK, 16);
  bits.write(BLOCK, 16);
  bits.write(0, 24);
  bits.write(0, 24);
  bits.write(rate, 20);
  bits.write(0, 3);
  bits.write(BITS - 1, 5);
  bits.write(0, 4);
  for (let word = 0; word < 5; word++) bits.write(0, 32);
  return bits.bytes();
}

/** A number as UTF-8 would encode a character. */
function utf8Number(value: number): number[] {
  if (value < 0x80) return [value];
  const tail: number[] = [];
  let rest = value;
  let room = 0x20;
  do {
    tail.unshift(0x80 | (rest & 0x3f));
    rest = Math.floor(rest / 64);
    if (rest < room) break;
    room /= 2;
  } while (room > 1);
  const marks = 0xff & ~(2 * room - 1);
  return [marks | rest, ...tail];
}

function subframe(bits: BitWriter, pcm: Int16Array): void {
  const [first = 0] = pcm;
  if (pcm.every((sample) => sample === first)) {
    bits.write(0, 8);
    bits.write(first, BITS);
    return;
  }
  const { order, residual } = bestPrediction(pcm);
  bits.write((0b001000 | order) << 1, 8);
  for (const sample of pcm.subarray(0, order)) bits.write(sample, BITS);
  const rice = riceParameter(residual);
  // Rice codes with 4 bits for their parameter, in one partition.
  bits.write(0, 2);
  bits.write(0, 4);
  bits.write(rice, 4);
  for (const value of residual) {
    const folded = folding(value);
    bits.unary(folded >>> rice);
    bits.write(folded, rice);
  }
}

/** What is left of the samples after the fixed predictor that leaves the least. */
function bestPrediction(pcm: Int16Array): { order: number; residual: Int32Array } {
  let residual = Int32Array.from(pcm);
  let best = { order: 0, residual, size: sizeOf(residual) };
  for (let order = 1; order <= Math.min(MAX_ORDER, pcm.length - 1); order++) {
    residual = residual.subarray(1).map((value, at) => value - (residual[at] ?? 0));
    const size = sizeOf(residual);
    if (size < best.size) best = { order, residual, size };
  }
  return best;
}

function sizeOf(residual: Int32Array): number {
  return residual.reduce((sum, value) => sum + Math.abs(value), 0);
}

function riceParameter(residual: Int32Array): number {
  const mean = (2 * sizeOf(residual)) / Math.max(1, residual.length);
  return Math.min(MAX_RICE, Math.max(0, Math.floor(Math.log2(mean + 1))));
}

/** 0, -1, 1, -2 … as 0, 1, 2, 3 … */
function folding(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}

function crc(bytes: Uint8Array, width: 8 | 16, polynomial: number): number {
  const top = 1 << (width - 1);
  const mask = 2 * top - 1;
  let value = 0;
  for (const byte of bytes) {
    value ^= byte << (width - 8);
    for (let bit = 0; bit < 8; bit++) {
      value = (value & top ? (value << 1) ^ polynomial : value << 1) & mask;
    }
  }
  return value;
}
