import type { Audio } from "../lib/wav.ts";
import { type Encoding, type SampleFormat, SampleReader } from "./samples.ts";
import { joined, NotPlayable, type SoundDecoder } from "./sound-decoder.ts";

/** What stands before the samples of a file. */
interface SoundHeader {
  format: SampleFormat;
  /** Where the samples begin. */
  at: number;
  /** Their length in bytes; undefined: to the end. */
  size: number | undefined;
}

const MAX_HEADER_BYTES = 65_536;

/** A file of one header and bare samples. */
class HeaderDecoder implements SoundDecoder {
  readonly #name: string;
  /** @returns undefined if more bytes are needed */
  readonly #readHeader: (bytes: DataView) => SoundHeader | undefined;
  #head: Uint8Array = new Uint8Array();
  #reader: SampleReader | undefined;
  #left = Number.POSITIVE_INFINITY;

  constructor(name: string, readHeader: (bytes: DataView) => SoundHeader | undefined) {
    this.#name = name;
    this.#readHeader = readHeader;
  }

  push(bytes: Uint8Array): Audio[] {
    if (this.#reader) return this.#samples(bytes);
    this.#head = joined(this.#head, bytes);
    const { buffer, byteOffset, byteLength } = this.#head;
    const header = this.#readHeader(new DataView(buffer, byteOffset, byteLength));
    if (!header) {
      if (byteLength > MAX_HEADER_BYTES) throw new NotPlayable("format", `a broken ${this.#name}`);
      return [];
    }
    this.#reader = new SampleReader(header.format);
    this.#left = header.size ?? this.#left;
    return this.#samples(this.#head.slice(header.at));
  }

  end(): Audio[] {
    if (!this.#reader) throw new NotPlayable("format", `${this.#name} without sound`);
    return [];
  }

  close(): void {}

  #samples(bytes: Uint8Array): Audio[] {
    const part = bytes.subarray(0, Math.min(bytes.length, this.#left));
    this.#left -= part.length;
    return this.#reader?.push(part) ?? [];
  }
}

/** Sun's AU files. */
export function auDecoder(): SoundDecoder {
  return new HeaderDecoder("AU", readAu);
}

/** AIFF and uncompressed AIFF-C files. */
export function aiffDecoder(): SoundDecoder {
  return new HeaderDecoder("AIFF", readAiff);
}

const AU_ENCODINGS: Readonly<Record<number, Encoding>> = {
  1: "mulaw",
  2: "s8",
  3: "s16",
  4: "s24",
  5: "s32",
  6: "f32",
  7: "f64",
  27: "alaw",
};

function readAu(bytes: DataView): SoundHeader | undefined {
  if (bytes.byteLength < 24) return undefined;
  const at = bytes.getUint32(4);
  if (bytes.byteLength < at) return undefined;
  const encoding = AU_ENCODINGS[bytes.getUint32(12)];
  if (!encoding || at < 24) throw new NotPlayable("format", "AU with unknown");
  const format = { encoding, rate: bytes.getUint32(16), channels: bytes.getUint32(20) };
  return { format: { ...format, bigEndian: true }, at, size: sizeOf(bytes.getUint32(8)) };
}

function readAiff(bytes: DataView): SoundHeader | undefined {
  let format: SampleFormat | undefined;
  for (let at = 12; at + 16 <= bytes.byteLength; ) {
    const name = tagAt(bytes, at);
    const size = bytes.getUint32(at + 4);
    if (name === "COMM") {
      if (at + 8 + size > bytes.byteLength) return undefined;
      format = readCommon(bytes, at + 8, size);
    }
    if (name === "SSND") {
      if (!format) throw new NotPlayable("format", "a broken AIFF");
      const offset = bytes.getUint32(at + 8);
      const begin = at + 16 + offset;
      if (begin > bytes.byteLength) return undefined;
      return { format, at: begin, size: sizeOf(Math.max(0, size - 8 - offset)) };
    }
    at += 8 + size + (size % 2);
  }
  return undefined;
}

/** The `COMM` chunk, whose rate is a float of 80 bits. */
function readCommon(bytes: DataView, at: number, size: number): SampleFormat {
  if (size < 18) throw new NotPlayable("format", "a broken AIFF");
  const width = Math.ceil(bytes.getUint16(at + 6) / 8);
  const exponent = (bytes.getUint16(at + 8) & 0x7fff) - 16_383 - 31;
  const rate = bytes.getUint32(at + 10) * 2 ** exponent;
  const codec = size >= 22 ? tagAt(bytes, at + 18).toLowerCase() : "none";
  const encoding = AIFF_ENCODINGS[`${codec}/${width}`] ?? AIFF_ENCODINGS[codec];
  if (!encoding) throw new NotPlayable("format", "AIFF with unknown");
  return { encoding, rate, channels: bytes.getUint16(at), bigEndian: codec !== "sowt" };
}

const AIFF_ENCODINGS: Readonly<Record<string, Encoding>> = {
  "none/1": "s8",
  "none/2": "s16",
  "none/3": "s24",
  "none/4": "s32",
  "sowt/2": "s16",
  fl32: "f32",
  fl64: "f64",
  alaw: "alaw",
  ulaw: "mulaw",
};

function sizeOf(stated: number): number | undefined {
  return stated === 0 || stated >= 0xffff_ff00 ? undefined : stated;
}

function tagAt(bytes: DataView, at: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + at, 4).toString("latin1");
}
