import type { OpusDecoder } from "opus-decoder";
import type { Audio } from "../lib/wav.ts";
import { monoOf } from "./compressed.ts";
import { NotPlayable } from "./sound-decoder.ts";

/** Opus decodes to any of its rates; at this one nothing has to be resampled for a room. */
const RATE = 24_000;
/** Opus counts samples at this rate, whatever it decodes to (RFC 7845). */
const GRANULE_RATE = 48_000;

/** Decodes the Opus packets of one stream, after its identification header (RFC 7845, 5.1). */
export class OpusPackets {
  readonly #head: OpusHead;
  #decoder: OpusDecoder<typeof RATE> | undefined;
  /** Samples at the beginning that are not part of the sound. */
  #skip: number;
  #decoded = 0;

  /** @param head the packet that begins with `OpusHead` @throws NotPlayable if it is broken */
  constructor(head: Uint8Array) {
    this.#head = readHead(head);
    this.#skip = inSamples(this.#head.preSkip);
  }

  /**
   * @param endsAt the position of the last sample at 48 kHz, pre-skip included, if these packets
   *   are the last; what the encoder added after it is cut off
   */
  async decode(packets: Uint8Array[], endsAt?: number): Promise<Audio[]> {
    if (!this.#decoder) {
      const library = await import("opus-decoder");
      this.#decoder = new library.OpusDecoder({ sampleRate: RATE, ...this.#head.layout });
      await this.#decoder.ready;
    }
    const [sound] = monoOf(this.#decoder.decodeFrames(packets));
    if (!sound) return [];
    this.#decoded += sound.pcm.length;
    const added = endsAt === undefined ? 0 : Math.max(0, this.#decoded - inSamples(endsAt));
    const begin = Math.min(this.#skip, sound.pcm.length);
    this.#skip -= begin;
    // A position that would cut more than these packets counts from elsewhere.
    const end = sound.pcm.length - (added <= sound.pcm.length ? added : 0);
    return end > begin ? [{ pcm: sound.pcm.slice(begin, end), rate: RATE }] : [];
  }

  close(): void {
    this.#decoder?.free();
    this.#decoder = undefined;
  }
}

function inSamples(granules: number): number {
  return Math.round((granules * RATE) / GRANULE_RATE);
}

interface OpusHead {
  preSkip: number;
  layout: {
    channels: number;
    streamCount: number;
    coupledStreamCount: number;
    channelMappingTable: number[];
  };
}

function readHead(bytes: Uint8Array): OpusHead {
  const channels = bytes[9] ?? 0;
  const family = bytes[18] ?? 0;
  const mapped = family !== 0 && bytes.length >= 21 + channels;
  if (channels === 0 || bytes.length < 19 || (!mapped && channels > 2)) {
    throw new NotPlayable("format", "a broken Opus stream");
  }
  return {
    preSkip: (bytes[10] ?? 0) | ((bytes[11] ?? 0) << 8),
    layout: {
      channels,
      streamCount: mapped ? (bytes[19] ?? 1) : 1,
      coupledStreamCount: mapped ? (bytes[20] ?? 0) : channels - 1,
      channelMappingTable: mapped
        ? [...bytes.subarray(21, 21 + channels)]
        : [0, 1].slice(0, channels),
    },
  };
}
