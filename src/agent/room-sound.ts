import { AudioByteStream } from "@livekit/agents";
import { AudioFrame, AudioResampler, AudioResamplerQuality } from "@livekit/rtc-node";
import { type Audio, pcmBytes } from "../lib/wav.ts";

/** What the room gets: mono at 24 kHz. */
export const ROOM_RATE = 24_000;
/** 20 ms. A pause takes effect at the next frame, so long frames would delay a barge-in. */
const FRAME_SAMPLES = ROOM_RATE / 50;

/** Turns sound of any rate into frames for the room. Its pieces stay one sound, without seams. */
export class RoomSound implements Disposable {
  readonly #frames = new AudioByteStream(ROOM_RATE, 1, FRAME_SAMPLES);
  #resampler: AudioResampler | undefined;

  push({ pcm, rate }: Audio): AudioFrame[] {
    if (pcm.length === 0) return [];
    const before = this.#resampler?.inputRate === rate ? [] : this.#finishRate();
    if (rate === ROOM_RATE) return [...before, ...this.#cut(pcm)];
    this.#resampler ??= new AudioResampler(rate, ROOM_RATE, 1, AudioResamplerQuality.HIGH);
    const resampled = this.#resampler.push(new AudioFrame(pcm, rate, 1, pcm.length));
    return [...before, ...resampled.flatMap(({ data }) => this.#cut(data))];
  }

  /** What is left; the last frame may be shorter. */
  end(): AudioFrame[] {
    return [...this.#finishRate(), ...this.#frames.flush()];
  }

  [Symbol.dispose](): void {
    this.#resampler?.close();
    this.#resampler = undefined;
  }

  /** The resampler holds some samples back, which the sound would lack at its end. */
  #finishRate(): AudioFrame[] {
    const rest = this.#resampler?.flush() ?? [];
    this[Symbol.dispose]();
    return rest.flatMap(({ data }) => this.#cut(data));
  }

  #cut(pcm: Int16Array): AudioFrame[] {
    return this.#frames.write(new Uint8Array(pcmBytes(pcm)).buffer);
  }
}
