import { runtimeConfig, type Sherpa } from "./native-libraries.ts";
import { RECOGNISER_RATE } from "./utterance.ts";

/** Converts audio that arrives in pieces to another sample rate. */
export interface Resampler {
  resample(samples: Float32Array): Float32Array;
  /** For the last piece: also returns what earlier pieces left in the filter. */
  flush(samples: Float32Array): Float32Array;
}

/** A change between silence and speech. */
export interface SpeechChange {
  kind: "started" | "stopped";
  /** In samples at `RECOGNISER_RATE` since the detector's first. */
  at: number;
}

/** A voice activity detector (VAD). */
export interface SpeechDetector {
  readonly speaking: boolean;
  /** @param samples at `RECOGNISER_RATE` @returns the changes in them, in order */
  push(samples: Float32Array): SpeechChange[];
}

export interface DetectorOptions {
  /** The probability from which a sound counts as speech, from 0 to 1. */
  threshold: number;
  /** Silence after which speech has stopped, in ms. */
  silenceMs: number;
}

/** Audio processing that needs none of the served models. */
export interface AudioTools {
  resampler(from: number, to: number): Resampler;
  detector(options: DetectorOptions): SpeechDetector;
}

/** @param vadModel path of the Silero VAD model */
export function createAudioTools(sherpa: Sherpa, vadModel: string): AudioTools {
  return {
    resampler: (from, to) =>
      from === to
        ? { resample: (samples) => samples, flush: (samples) => samples }
        : new sherpa.LinearResampler(from, to),
    detector: (options) => new SileroDetector(sherpa, vadModel, options),
  };
}

/** Samples that Silero's model takes at once. */
const WINDOW = 512;
/** A shorter sound is a click, not speech. */
const MIN_SPEECH_S = 0.1;

class SileroDetector implements SpeechDetector {
  readonly #vad: InstanceType<Sherpa["Vad"]>;
  #pending = new Float32Array();
  #position = 0;
  speaking = false;

  constructor(sherpa: Sherpa, model: string, { threshold, silenceMs }: DetectorOptions) {
    this.#vad = new sherpa.Vad(
      {
        ...runtimeConfig(),
        numThreads: 1,
        sampleRate: RECOGNISER_RATE,
        sileroVad: {
          model,
          threshold,
          minSilenceDuration: silenceMs / 1000,
          minSpeechDuration: MIN_SPEECH_S,
          maxSpeechDuration: Number.MAX_SAFE_INTEGER,
          windowSize: WINDOW,
        },
      },
      30,
    );
  }

  push(samples: Float32Array): SpeechChange[] {
    const all = new Float32Array(this.#pending.length + samples.length);
    all.set(this.#pending);
    all.set(samples, this.#pending.length);
    const changes: SpeechChange[] = [];
    let at = 0;
    for (; at + WINDOW <= all.length; at += WINDOW) {
      this.#vad.acceptWaveform(all.slice(at, at + WINDOW));
      this.#position += WINDOW;
      const speaking = this.#vad.isDetected();
      if (speaking !== this.speaking) {
        this.speaking = speaking;
        changes.push({ kind: speaking ? "started" : "stopped", at: this.#position });
      }
      // The detector stores all speech until it is fetched, which nothing here needs.
      while (!this.#vad.isEmpty()) this.#vad.pop();
    }
    this.#pending = all.slice(at);
    return changes;
  }
}
