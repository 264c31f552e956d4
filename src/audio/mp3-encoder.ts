import { createMp3Encoder as loadLame } from "wasm-media-encoders";
import { floatsOf } from "../lib/wav.ts";
import type { SoundEncoder } from "./sound-encoder.ts";

/** In kbit/s; speech in mono needs no more. */
const BITRATE = 64;
/** An ID3v2.4 tag that says what encoded the sound (https://id3.org/id3v2.4.0-structure). */
const ENCODED_BY = "LAME";

/** Encodes MP3 with LAME, as WebAssembly. */
export async function createMp3Encoder(rate: number): Promise<SoundEncoder> {
  const lame = await loadLame();
  lame.configure({
    channels: 1,
    sampleRate: rate,
    outputSampleRate: outputRate(rate),
    bitrate: BITRATE,
  });
  return {
    head: id3(),
    // What LAME returns lies in its memory, which the next call overwrites.
    encode: (pcm) => (pcm.length === 0 ? new Uint8Array() : lame.encode([floatsOf(pcm)]).slice()),
    end: () => lame.finalize().slice(),
  };
}

function outputRate(rate: number): 8000 | 12000 | 16000 | 24000 | 48000 {
  const rates = [8000, 12000, 16000, 24000, 48000] as const;
  return rates.find((known) => known === rate) ?? 24000;
}

function id3(): Uint8Array {
  const frame = [...Buffer.from("TSSE"), 0, 0, 0, ENCODED_BY.length + 1, 0, 0, 0];
  const body = [...frame, ...Buffer.from(ENCODED_BY)];
  return Uint8Array.from([...Buffer.from("ID3"), 4, 0, 0, 0, 0, 0, body.length, ...body]);
}
