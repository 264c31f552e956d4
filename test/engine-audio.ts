import {
  type AudioTools,
  type DetectorOptions,
  RECOGNISER_RATE,
  type SpeechChange,
  type SpeechDetector,
} from "../src/engine/audio-tools.ts";
import { FairQueue } from "../src/engine/fair-queue.ts";
import type { Recogniser } from "../src/engine/recogniser.ts";
import { BufferedUtterance } from "../src/engine/utterance.ts";

/** Samples that the detector below judges at once: 10 ms. */
const WINDOW = RECOGNISER_RATE / 100;
/** Speech is certain after this much of it. */
const DELAY = 10 * WINDOW;
const LOUD = 0.004;

/** Audio tools without a model: what is loud is speech, and every nth sample is taken. */
export function simpleAudioTools(): AudioTools {
  return {
    resampler: (from, to) => {
      let [read, written] = [0, 0];
      const resample = (samples: Float32Array) => {
        const first = read;
        read += samples.length;
        const length = Math.floor((read * to) / from) - written;
        const at = (i: number) => Math.floor(((written + i) * from) / to) - first;
        const resampled = Float32Array.from({ length }, (_, i) => samples[at(i)] ?? 0);
        written += length;
        return resampled;
      };
      return { resample, flush: resample };
    },
    detector: (options) => new LoudnessDetector(options),
  };
}

/** Takes loud sound for speech. Real detectors are too slow and too clever for tests of details. */
class LoudnessDetector implements SpeechDetector {
  readonly delay = DELAY;
  readonly #silence: number;
  #pending = new Float32Array();
  #position = 0;
  #other = 0;
  speaking = false;

  constructor({ silenceMs }: DetectorOptions) {
    this.#silence = (silenceMs / 1000) * RECOGNISER_RATE;
  }

  push(samples: Float32Array): SpeechChange[] {
    const all = audioOf(this.#pending, samples);
    const changes: SpeechChange[] = [];
    let at = 0;
    for (; at + WINDOW <= all.length; at += WINDOW) {
      const loud = all.subarray(at, at + WINDOW).some((sample) => Math.abs(sample) > LOUD);
      this.#position += WINDOW;
      this.#other = loud === this.speaking ? 0 : this.#other + WINDOW;
      if (this.#other < (this.speaking ? this.#silence : DELAY)) continue;
      this.speaking = loud;
      const kind = loud ? "started" : "stopped";
      changes.push({ kind, from: this.#position - this.#other, at: this.#position });
      this.#other = 0;
    }
    this.#pending = all.slice(at);
    return changes;
  }

  reset(): void {
    this.#position += this.#pending.length;
    this.#pending = new Float32Array();
    this.#other = 0;
    this.speaking = false;
  }

  [Symbol.dispose](): void {}
}

/** A tone of so many seconds, which counts as speech, at `rate` Hz. */
export function tone(seconds: number, rate = RECOGNISER_RATE): Float32Array<ArrayBuffer> {
  const length = Math.round(seconds * rate);
  return Float32Array.from({ length }, (_, i) => Math.sin((i * 440 * 2 * Math.PI) / rate) / 4);
}

export function silence(seconds: number, rate = RECOGNISER_RATE): Float32Array<ArrayBuffer> {
  return new Float32Array(Math.round(seconds * rate));
}

/** Pieces of audio one after the other. */
export function audioOf(...parts: Float32Array[]): Float32Array<ArrayBuffer> {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** A recogniser that hears the seconds of sound, in one word each: `one two three`. */
export function countingRecogniser(options: Partial<Recogniser> = {}): Recogniser {
  const queue = new FairQueue();
  return {
    timesWords: false,
    listen: ({ client, detector, language }) =>
      new BufferedUtterance({
        decode: async (samples) => ({ text: countedTo(samples), language }),
        detector: detector(),
        maxSeconds: 8,
        queue,
        client,
      }),
    ...options,
  };
}

const NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight"];

function countedTo(samples: Float32Array): string {
  const loud = samples.filter((sample) => Math.abs(sample) > LOUD).length;
  // Of a tone as loud as that of the tests, nearly all samples are loud.
  return NUMBERS.slice(0, Math.round(loud / 0.97 / RECOGNISER_RATE)).join(" ");
}
