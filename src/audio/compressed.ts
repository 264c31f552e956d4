import { type Audio, pcmFrom } from "../lib/wav.ts";
import { JoinedFiles } from "./joined-files.ts";
import type { SoundDecoder } from "./sound-decoder.ts";

/** What the WASM decoders answer: a part of the sound for each channel. */
export interface DecodedPart {
  channelData: Float32Array[];
  samplesDecoded: number;
  sampleRate: number;
}

/** The interface that the WASM decoders share. */
interface WasmDecoder {
  ready: Promise<void>;
  decode(bytes: Uint8Array): DecodedPart | Promise<DecodedPart>;
  flush?(): Promise<DecodedPart>;
  free(): void;
}

/** Makes a WASM decoder when the first bytes come, since each takes some megabytes of memory. */
class CompressedDecoder implements SoundDecoder {
  readonly #load: () => Promise<WasmDecoder>;
  #decoder: WasmDecoder | undefined;

  constructor(load: () => Promise<WasmDecoder>) {
    this.#load = load;
  }

  async push(bytes: Uint8Array): Promise<Audio[]> {
    this.#decoder ??= await this.#load();
    await this.#decoder.ready;
    return monoOf(await this.#decoder.decode(bytes));
  }

  async end(): Promise<Audio[]> {
    const rest = await this.#decoder?.flush?.();
    return rest ? monoOf(rest) : [];
  }

  close(): void {
    this.#decoder?.free();
    this.#decoder = undefined;
  }
}

/** MPEG audio of all versions and layers. */
export function mpegDecoder(): SoundDecoder {
  return new JoinedFiles(
    () => new CompressedDecoder(async () => new (await import("mpg123-decoder")).MPEGDecoder()),
    ["ID3\x02\0", "ID3\x03\0", "ID3\x04\0"],
  );
}

/** FLAC files. */
export function flacDecoder(): SoundDecoder {
  return new JoinedFiles(oggFlacDecoder, ["fLaC\0\0\0\x22", "fLaC\x80\0\0\x22"]);
}

/** FLAC in Ogg. */
export function oggFlacDecoder(): SoundDecoder {
  return new CompressedDecoder(
    async () => new (await import("@wasm-audio-decoders/flac")).FLACDecoder(),
  );
}

/** Vorbis in Ogg. */
export function vorbisDecoder(): SoundDecoder {
  return new CompressedDecoder(
    async () => new (await import("@wasm-audio-decoders/ogg-vorbis")).OggVorbisDecoder(),
  );
}

/** The average of the channels; nothing if there are no samples. */
export function monoOf({ channelData, samplesDecoded, sampleRate }: DecodedPart): Audio[] {
  const [first, ...others] = channelData;
  if (!first || samplesDecoded === 0) return [];
  const mix = Float32Array.from(first.subarray(0, samplesDecoded), (sample, at) => {
    const sum = others.reduce((total, channel) => total + (channel[at] ?? 0), sample);
    return sum / channelData.length;
  });
  return [{ pcm: pcmFrom(mix), rate: sampleRate }];
}
