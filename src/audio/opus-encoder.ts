import { Application, createEncoder, type OpusEncoderHandle, type SampleRate } from "libopus-wasm";
import { OggPages } from "./ogg-pages.ts";
import { SampleBlocks } from "./sample-blocks.ts";
import type { SoundEncoder } from "./sound-encoder.ts";

/** In bit/s: speech at full quality. */
const BITRATE = 32_000;
/** Opus counts time in samples at 48 kHz, whatever goes in (RFC 7845, section 4). */
const OPUS_RATE = 48_000;
const FRAME_S = 0.02;

/** Encodes Opus in Ogg (RFC 7845) with libopus, as WebAssembly. */
export async function createOpusEncoder(rate: number): Promise<SoundEncoder> {
  const encoder = await createEncoder({
    channels: 1,
    sampleRate: rate as SampleRate,
    application: Application.Voip,
    bitrate: BITRATE,
  });
  return new OpusEncoder(encoder, rate);
}

class OpusEncoder implements SoundEncoder {
  readonly head: Uint8Array;
  readonly #encoder: OpusEncoderHandle;
  readonly #pages = new OggPages();
  readonly #rate: number;
  readonly #preSkip: number;
  readonly #blocks: SampleBlocks;
  /** Samples that went in. */
  #samples = 0;
  #frames = 0;

  constructor(encoder: OpusEncoderHandle, rate: number) {
    this.#encoder = encoder;
    this.#rate = rate;
    this.#blocks = new SampleBlocks(encoder.frameSize);
    this.#preSkip = this.#at48k(encoder.getLookahead());
    const head = this.#pages.page([opusHead(this.#preSkip, rate)], 0n);
    this.head = Buffer.concat([head, this.#pages.page([opusTags()], 0n)]);
  }

  encode(pcm: Int16Array): Uint8Array {
    this.#samples += pcm.length;
    return this.#encodeWhole(pcm, false);
  }

  end(): Uint8Array {
    const { frameSize } = this.#encoder;
    // Silence brings out what the encoder holds back; the position says where the sound ends.
    const missing = this.#encoder.getLookahead() + frameSize - 1;
    const last = this.#encodeWhole(new Int16Array(missing), true);
    this.#encoder.free();
    return last;
  }

  #encodeWhole(pcm: Int16Array, isEnd: boolean): Uint8Array {
    const packets = this.#blocks.push(pcm).map((block) => this.#encoder.encode(block));
    this.#frames += packets.length;
    if (packets.length === 0) return new Uint8Array();
    const encoded = BigInt(Math.round(this.#frames * FRAME_S * OPUS_RATE));
    const position = isEnd ? BigInt(this.#preSkip + this.#at48k(this.#samples)) : encoded;
    return this.#pages.pages(packets, position, BigInt(OPUS_RATE * FRAME_S), isEnd);
  }

  #at48k(samples: number): number {
    return Math.round((samples * OPUS_RATE) / this.#rate);
  }
}

/** RFC 7845, section 5.1: version 1, mono, no gain. */
function opusHead(preSkip: number, rate: number): Uint8Array {
  const bytes = Buffer.alloc(19);
  bytes.write("OpusHead", "latin1");
  bytes.writeUInt8(1, 8);
  bytes.writeUInt8(1, 9);
  bytes.writeUInt16LE(preSkip, 10);
  bytes.writeUInt32LE(rate, 12);
  return bytes;
}

/** RFC 7845, section 5.2: a vendor and no comments. */
function opusTags(): Uint8Array {
  const vendor = "libopus";
  const bytes = Buffer.alloc(16 + vendor.length);
  bytes.write("OpusTags", "latin1");
  bytes.writeUInt32LE(vendor.length, 8);
  bytes.write(vendor, 12, "latin1");
  return bytes;
}
