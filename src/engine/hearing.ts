import { runtimeConfig, type Sherpa } from "./sherpa.ts";
import { HEARING_RATE } from "./split-audio.ts";

/** Brings audio that comes in pieces to another rate. */
export interface Resampler {
  resample(samples: Float32Array): Float32Array;
  /** For the last piece, with what is left of the others. */
  flush(samples: Float32Array): Float32Array;
}

/** A change between silence and speech, in samples at `HEARING_RATE` since the detector began. */
export interface SpeechChange {
  kind: "started" | "stopped";
  at: number;
}

export interface SpeechDetector {
  readonly speaking: boolean;
  /** @param samples at `HEARING_RATE` @returns the changes in them, in order */
  push(samples: Float32Array): SpeechChange[];
}

export interface DetectorOptions {
  /** How sure of speech the detector has to be, from 0 to 1. */
  threshold: number;
  /** Silence after which speech has stopped, in ms. */
  silenceMs: number;
}

/** The tools for audio that no model of the engine's own is needed for. */
export interface Hearing {
  resampler(from: number, to: number): Resampler;
  detector(options: DetectorOptions): SpeechDetector;
}

/** @param vadModel path of silero's model, which tells speech from silence */
export function createHearing(sherpa: Sherpa, vadModel: string): Hearing {
  return {
    resampler: (from, to) =>
      from === to
        ? { resample: (samples) => samples, flush: (samples) => samples }
        : new sherpa.LinearResampler(from, to),
    detector: (options) => new SileroDetector(sherpa, vadModel, options),
  };
}

/** What silero's model takes at once. */
const WINDOW = 512;
/** Sound that lasts less is a click, in seconds. */
const ONSET_S = 0.1;

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
        sampleRate: HEARING_RATE,
        sileroVad: {
          model,
          threshold,
          minSilenceDuration: silenceMs / 1000,
          minSpeechDuration: ONSET_S,
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
      // It keeps what was spoken for those who ask; nobody does.
      while (!this.#vad.isEmpty()) this.#vad.pop();
    }
    this.#pending = all.slice(at);
    return changes;
  }
}
