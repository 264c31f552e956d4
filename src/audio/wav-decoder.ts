import type { Audio } from "../lib/wav.ts";
import { type Encoding, SampleReader } from "./samples.ts";
import { joined, NotPlayable, type SoundDecoder } from "./sound-decoder.ts";

/** The sizes of a stream whose length was not known when its header was written. */
const UNKNOWN_SIZES: ReadonlySet<number> = new Set([0, 0xffff_ffff]);
/** Of `RIFF`, a size and `WAVE`. */
const HEADER_BYTES = 12;
const MAX_FORMAT_BYTES = 4096;
/** A longer chunk beside the sound is taken for sound that goes on after its stated length. */
const MAX_TRAILER_BYTES = 1 << 20;
const RIFF: ReadonlySet<string> = new Set(["RIFF", "RIFX", "RF64", "BW64"]);

/**
 * Reads WAV files that arrive in pieces: RIFF, RIFX and RF64 (EBU Tech 3306) with PCM, floats,
 * A-law or µ-law. The stated length may be missing. A header in the middle of the sound begins
 * another file, as servers send that join the files of several sentences.
 */
export class WavDecoder implements SoundDecoder {
  #bytes: Uint8Array = new Uint8Array();
  /** Bytes of a chunk that is not needed and still to come. */
  #skip = 0;
  /** Bytes of the sound that are still to come; undefined outside a `data` chunk. */
  #left: number | undefined;
  /** Whether the sound that has ended has an odd length, after which a zero may stand. */
  #isPadded = false;
  #reader: SampleReader | undefined;
  #littleEndian = true;
  /** The length in RF64's `ds64` chunk. */
  #longSize: number | undefined;
  #heard = false;

  push(bytes: Uint8Array): Audio[] {
    this.#bytes = joined(this.#bytes, bytes);
    return this.#read(false);
  }

  end(): Audio[] {
    const rest = this.#read(true);
    if (!this.#heard) throw new NotPlayable("format", "WAV without sound");
    return rest;
  }

  close(): void {}

  #read(ended: boolean): Audio[] {
    const sound: Audio[] = [];
    for (let goesOn = true; goesOn; ) {
      if (this.#skip > 0) goesOn = this.#skipBytes();
      else if (this.#left === undefined) goesOn = this.#readChunk();
      else goesOn = this.#readSound(this.#left, ended, sound);
    }
    return sound;
  }

  /** Each step says whether there is something for the next one. */
  #skipBytes(): boolean {
    const count = Math.min(this.#skip, this.#bytes.length);
    this.#skip -= count;
    this.#take(count);
    return this.#skip === 0;
  }

  #readChunk(): boolean {
    if (this.#bytes.length < (this.#isPadded ? 9 : 8)) return false;
    if (this.#isPadded && this.#bytes[0] === 0) this.#take(1);
    this.#isPadded = false;
    const name = tagAt(this.#bytes, 0);
    if (RIFF.has(name)) return this.#readHeader(name);
    const size = this.#view().getUint32(4, this.#littleEndian);
    if (name === "fmt ") return this.#readFormat(size);
    if (name === "ds64") return this.#readLongSize(size);
    if (name === "data") return this.#beginSound(size);
    if (this.#heard && !(isTag(name) && size <= MAX_TRAILER_BYTES)) {
      // Some servers state the length of their first piece and go on sending.
      this.#left = Number.POSITIVE_INFINITY;
      return true;
    }
    this.#skip = 8 + size + (size % 2);
    return true;
  }

  #readHeader(name: string): boolean {
    if (this.#bytes.length < HEADER_BYTES) return false;
    this.#littleEndian = name !== "RIFX";
    this.#reader = undefined;
    this.#longSize = undefined;
    this.#take(HEADER_BYTES);
    return true;
  }

  #readFormat(size: number): boolean {
    if (size < 16 || size > MAX_FORMAT_BYTES) throw new NotPlayable("format", "a broken WAV");
    if (this.#bytes.length < 8 + size) return false;
    this.#reader = readerOf(this.#view(8, size), this.#littleEndian);
    this.#skip = 8 + size + (size % 2);
    return true;
  }

  #readLongSize(size: number): boolean {
    if (this.#bytes.length < 24) return false;
    this.#longSize = Number(this.#view().getBigUint64(16, true));
    this.#skip = 8 + size + (size % 2);
    return true;
  }

  #beginSound(size: number): boolean {
    if (!this.#reader) throw new NotPlayable("format", "a broken WAV");
    this.#heard = true;
    const known = UNKNOWN_SIZES.has(size) ? this.#longSize : size;
    this.#left = known || Number.POSITIVE_INFINITY;
    this.#isPadded = this.#left % 2 === 1;
    this.#take(8);
    return true;
  }

  #readSound(left: number, ended: boolean, sound: Audio[]): boolean {
    const bytes = this.#bytes.subarray(0, left);
    const next = nextHeader(bytes);
    // What may be the beginning of a header waits until there is enough of it.
    const held = ended || bytes.length === left ? 0 : HEADER_BYTES - 1;
    const count = next ?? Math.max(0, bytes.length - held);
    if (count > 0) sound.push(...(this.#reader?.push(bytes.subarray(0, count)) ?? []));
    this.#take(count);
    this.#left = next === undefined ? left - count : 0;
    if (this.#left > 0) return false;
    this.#left = undefined;
    return true;
  }

  #take(count: number): void {
    this.#bytes = this.#bytes.slice(count);
  }

  #view(at = 0, size = this.#bytes.length - at): DataView {
    return new DataView(this.#bytes.buffer, this.#bytes.byteOffset + at, size);
  }
}

/** Where another header, or the list of a file's names, begins in the sound. */
function nextHeader(bytes: Uint8Array): number | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = [
    ["RIFF", "WAVE"],
    ["LIST", "INFO"],
  ].flatMap(([name = "", kind = ""]) => {
    for (let at = buffer.indexOf(name); at >= 0; at = buffer.indexOf(name, at + 1)) {
      if (tagAt(bytes, at + 8) === kind) return [at];
    }
    return [];
  });
  return found.length > 0 ? Math.min(...found) : undefined;
}

function tagAt(bytes: Uint8Array, at: number): string {
  return Buffer.from(bytes.subarray(at, at + 4)).toString("latin1");
}

function isTag(name: string): boolean {
  return /^[A-Za-z_][\w ]{3}$/.test(name);
}

const PCM = 1;
const FLOAT = 3;
const EXTENSIBLE = 0xfffe;
const ENCODINGS: Readonly<Record<string, Encoding>> = {
  [`${PCM}/1`]: "u8",
  [`${PCM}/2`]: "s16",
  [`${PCM}/3`]: "s24",
  [`${PCM}/4`]: "s32",
  [`${FLOAT}/4`]: "f32",
  [`${FLOAT}/8`]: "f64",
  "6/1": "alaw",
  "7/1": "mulaw",
};
const OTHER_CODECS: Readonly<Record<number, string>> = {
  2: "ADPCM",
  17: "ADPCM",
  49: "GSM",
  80: "MPEG",
  85: "MP3",
  255: "AAC",
};

/** From the `fmt ` chunk of a WAV file (Microsoft's WAVEFORMATEX). */
function readerOf(view: DataView, littleEndian: boolean): SampleReader {
  const named = view.getUint16(0, littleEndian);
  // The extensible format has the real encoding at the beginning of its sub-format.
  const extensible = named === EXTENSIBLE && view.byteLength >= 26;
  const codec = extensible ? view.getUint16(24, littleEndian) : named;
  const channels = view.getUint16(2, littleEndian);
  const rate = view.getUint32(4, littleEndian);
  // Samples of 12 or 20 bits fill whole bytes from the top.
  const bytes = Math.ceil(view.getUint16(14, littleEndian) / 8);
  const encoding = ENCODINGS[`${codec}/${bytes}`];
  if (!encoding) throw new NotPlayable("format", `WAV with ${OTHER_CODECS[codec] ?? "unknown"}`);
  return new SampleReader({ encoding, channels, rate, bigEndian: !littleEndian });
}
