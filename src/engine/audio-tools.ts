import { runtimeConfig, type Sherpa } from "./native-libraries.ts";

/** Sample rate in Hz at which recognisers and the voice activity detector take audio. */
export const RECOGNISER_RATE = 16_000;

/** Converts audio that arrives in pieces to another sample rate. */
export interface Resampler {
  resample(samples: Float32Array): Float32Array;
  /** For the last piece: also returns what earlier pieces left in the filter. */
  flush(samples: Float32Array): Float32Array;
}

/** A change between silence and speech, in samples at `RECOGNISER_RATE` since the detector's first. */
export interface SpeechChange {
  kind: "started" | "stopped";
  /** When speech or silence began. */
  from: number;
  /** When it was certain. */
  at: number;
}

/** A voice activity detector (VAD). Disposed of, it may serve somebody else. */
export interface SpeechDetector extends Disposable {
  readonly speaking: boolean;
  /** How much later than its beginning speech is certain, in samples. */
  readonly delay: number;
  /** @param samples at `RECOGNISER_RATE` @returns the changes in them, in order */
  push(samples: Float32Array): SpeechChange[];
  /** Forgets the speech so far, and goes on counting. */
  reset(): void;
}

export interface DetectorOptions {
  /** The probability from which a sound counts as speech, from 0 to 1. */
  threshold: number;
  /** Silence after which speech has stopped, in ms. */
  silenceMs: number;
}

/**
 * How pauses are found within an utterance. The threshold is low, because what is taken for silence
 * here is not recognised at all.
 */
export const PAUSES: DetectorOptions = { threshold: 0.3, silenceMs: 150 };

/** Audio processing that needs none of the served models. */
export interface AudioTools {
  resampler(from: number, to: number): Resampler;
  detector(options: DetectorOptions): SpeechDetector;
}

/** @param vadModel path of the Silero VAD model */
export function createAudioTools(sherpa: Sherpa, vadModel: string): AudioTools {
  const idle = new Map<string, Vad[]>();
  return {
    resampler: (from, to) =>
      from === to
        ? { resample: (samples) => samples, flush: (samples) => samples }
        : new sherpa.LinearResampler(from, to),
    detector: (options) => {
      const key = JSON.stringify(options);
      // It takes a tenth of a second to load one, in which nothing else happens here.
      const vad = idle.get(key)?.pop() ?? createVad(sherpa, vadModel, options);
      return new SileroDetector(vad, options, () => {
        const kept = idle.get(key) ?? [];
        if (kept.length < MAX_IDLE && (idle.has(key) || idle.size < MAX_IDLE)) kept.push(vad);
        if (kept.length > 0) idle.set(key, kept);
      });
    },
  };
}

type Vad = InstanceType<Sherpa["Vad"]>;

/** Detectors that are kept for the next utterance, and kinds of them. */
const MAX_IDLE = 8;
/** Samples that Silero's model takes at once. */
const WINDOW = 512;
/** A shorter sound is a click, not speech. */
const MIN_SPEECH_S = 0.1;
/** The library needs two windows more to be certain of speech. */
const DELAY = MIN_SPEECH_S * RECOGNISER_RATE + 2 * WINDOW;

function createVad(sherpa: Sherpa, model: string, { threshold, silenceMs }: DetectorOptions): Vad {
  return new sherpa.Vad(
    {
      ...runtimeConfig(),
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

class SileroDetector implements SpeechDetector {
  readonly delay = DELAY;
  readonly #vad: Vad;
  readonly #silence: number;
  #release: (() => void) | undefined;
  #pending = new Float32Array();
  #position = 0;
  speaking = false;

  constructor(vad: Vad, { silenceMs }: DetectorOptions, release: () => void) {
    this.#vad = vad;
    this.#silence = (silenceMs / 1000) * RECOGNISER_RATE;
    this.#release = release;
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
        const since = speaking ? DELAY : this.#silence;
        const from = Math.max(0, this.#position - since);
        changes.push({ kind: speaking ? "started" : "stopped", from, at: this.#position });
      }
      // The detector stores all speech until it is fetched, which nothing here needs.
      while (!this.#vad.isEmpty()) this.#vad.pop();
    }
    this.#pending = all.slice(at);
    return changes;
  }

  reset(): void {
    this.#vad.reset();
    this.#position += this.#pending.length;
    this.#pending = new Float32Array();
    this.speaking = false;
  }

  [Symbol.dispose](): void {
    this.reset();
    this.#release?.();
    this.#release = undefined;
  }
}
