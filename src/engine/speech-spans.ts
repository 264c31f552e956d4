import { RECOGNISER_RATE, type SpeechDetector } from "./audio-tools.ts";

/** A stretch of audio with speech that is recognised at once. Bounds are samples of the utterance. */
export interface SpeechSpan {
  samples: Float32Array;
  /** Where speech begins and ends; the samples have a little more on both sides. */
  start: number;
  end: number;
  /** Where the samples end. */
  to: number;
  /** Samples at the beginning that the span before it has as well. */
  overlap: number;
  /** Whether it goes on with what the span before it says, which was too long. */
  continues: boolean;
}

/** Audio that is kept before and after speech. */
const MARGIN = 0.3 * RECOGNISER_RATE;
/** A pause that ends a span in any case, so that a span is about what one person says at once. */
const LONG_PAUSE = RECOGNISER_RATE;
/** Where there is no pause to cut at, this much audio is recognised on both sides of the cut. */
const OVERLAP = RECOGNISER_RATE;
/** A pause before this share of the longest span is used only if there is no later one. */
const EARLIEST_SHARE = 1 / 3;

/** The detector misses what is quiet, so it gets its audio with peaks of this height. */
const PEAK = 0.5;
/** The most by which audio is made louder for it: more would make noise of silence. */
const MAX_GAIN = 30;
/** How much of a peak's height is left after a part of audio, where nothing louder follows. */
const PEAK_DECAY = 0.95;

interface Pause {
  from: number;
  to: number;
}

/**
 * Divides the audio of an utterance into spans that are short enough to be recognised at once.
 * Silence is in none of them. Too long speech is cut in the middle of its longest pause; speech
 * without a pause is cut where it is quietest, and the spans overlap there.
 */
export class SpeechSpans {
  readonly #detector: SpeechDetector;
  readonly #maxSamples: number;
  /** The audio from `#from` on: of the open span, or the newest silence. */
  #audio = new Float32Array();
  #from = 0;
  /** The beginning of speech in the open span; undefined while there is none. */
  #speechFrom: number | undefined;
  /** The end of the newest speech. */
  #speechTo = 0;
  #speaking = false;
  #pauses: Pause[] = [];
  #overlap = 0;
  #continues = false;
  /** How loud the audio was lately. */
  #peak = 0;

  /**
   * @param detector finds pauses; not used by others until the utterance is finished
   * @param maxSeconds the most seconds of audio that are recognised at once
   */
  constructor(detector: SpeechDetector, maxSeconds: number) {
    this.#detector = detector;
    this.#maxSamples = Math.round(maxSeconds * RECOGNISER_RATE);
  }

  /** The audio of the span that is not complete yet; undefined where nobody speaks. */
  get open(): Float32Array | undefined {
    return this.#speechFrom === undefined ? undefined : this.#audio;
  }

  /** @returns the spans that are complete with these samples */
  push(samples: Float32Array): SpeechSpan[] {
    const spans: SpeechSpan[] = [];
    // In parts that are no longer than a span may grow before it is looked at again.
    const part = RECOGNISER_RATE / 4;
    for (let at = 0; at < samples.length; at += part) {
      this.#add(samples.subarray(at, at + part), spans);
    }
    return spans;
  }

  /** @returns the last span */
  finish(): SpeechSpan[] {
    if (this.#speechFrom === undefined) return [];
    const end = this.#from + this.#audio.length;
    return [this.#close(this.#speaking ? end : Math.min(end, this.#speechTo + MARGIN), 0)];
  }

  #add(samples: Float32Array, spans: SpeechSpan[]): void {
    this.#audio = concatenated(this.#audio, samples);
    for (const { kind, from } of this.#detector.push(this.#levelled(samples))) {
      this.#speaking = kind === "started";
      if (kind === "stopped") this.#speechTo = from;
      else this.#begin(from, spans);
    }
    const end = this.#from + this.#audio.length;
    if (this.#speechFrom === undefined) {
      this.#drop(Math.max(this.#from, end - this.#detector.delay - MARGIN));
      return;
    }
    if (!this.#speaking && end - this.#speechTo >= LONG_PAUSE) {
      spans.push(this.#close(this.#speechTo + MARGIN, 0));
      return;
    }
    while (this.#audio.length > this.#maxSamples) spans.push(this.#cut());
  }

  #levelled(samples: Float32Array): Float32Array {
    const peak = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
    this.#peak = Math.max(peak, this.#peak * PEAK_DECAY);
    const gain = Math.max(1, Math.min(MAX_GAIN, PEAK / this.#peak));
    return samples.map((sample) => sample * gain);
  }

  #begin(at: number, spans: SpeechSpan[]): void {
    if (this.#speechFrom !== undefined) {
      if (at - this.#speechTo < LONG_PAUSE) {
        this.#pauses.push({ from: this.#speechTo, to: at });
        return;
      }
      spans.push(this.#close(this.#speechTo + MARGIN, 0));
    }
    this.#speechFrom = Math.max(this.#from, at);
    this.#drop(Math.max(this.#from, at - MARGIN));
  }

  #cut(): SpeechSpan {
    const pause = this.#pauseToCutAt();
    if (pause) return this.#close(Math.round((pause.from + pause.to) / 2), 0);
    const cut = this.#from + quietestCut(this.#audio, this.#maxSamples);
    return this.#close(cut, Math.min(OVERLAP, Math.floor(this.#maxSamples / 4)));
  }

  #pauseToCutAt(): Pause | undefined {
    const end = this.#from + this.#maxSamples;
    const all = this.#speaking
      ? this.#pauses
      : [...this.#pauses, { from: this.#speechTo, to: end }];
    const inside = all.filter(({ from, to }) => (from + to) / 2 < end);
    const earliest = this.#from + this.#maxSamples * EARLIEST_SHARE;
    const late = inside.filter(({ from }) => from >= earliest);
    if (late.length === 0) return inside.at(-1);
    return late.reduce((best, one) => (one.to - one.from >= best.to - best.from ? one : best));
  }

  /** Ends the span at `end`. What follows it is the next span's, from `overlap` before its end. */
  #close(end: number, overlap: number): SpeechSpan {
    const samples = this.#audio.slice(0, end - this.#from);
    const start = this.#speechFrom ?? this.#from;
    const spoken = this.#speaking || overlap > 0 ? end : Math.min(end, this.#speechTo);
    const inPause = this.#pauses.findLast(({ from, to }) => from <= end && end <= to);
    const span = {
      continues: this.#continues,
      samples,
      start,
      end: Math.max(start, inPause?.from ?? spoken),
      to: end,
      overlap: this.#overlap,
    };
    this.#drop(end - overlap);
    const goesOn = overlap > 0 || inPause !== undefined || this.#speaking;
    this.#speechFrom = goesOn ? Math.max(this.#from, inPause?.to ?? this.#from) : undefined;
    this.#pauses = this.#pauses.filter(({ from }) => from >= end);
    this.#overlap = overlap;
    this.#continues = goesOn;
    return span;
  }

  #drop(upTo: number): void {
    this.#audio = this.#audio.slice(Math.max(0, upTo - this.#from));
    this.#from = Math.max(this.#from, upTo);
  }
}

export function concatenated(a: Float32Array, b: Float32Array): Float32Array<ArrayBuffer> {
  const all = new Float32Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}

/** A quiet place is looked for in this last share of the longest span. */
const SEARCHED_SHARE = 1 / 3;
const CUT_WINDOW = RECOGNISER_RATE / 10;

/** The middle of the quietest tenth of a second in the last third of the first `end` samples. */
function quietestCut(samples: Float32Array, end: number): number {
  let best = end;
  let least = Number.POSITIVE_INFINITY;
  for (
    let at = Math.round(end * (1 - SEARCHED_SHARE));
    at + CUT_WINDOW <= end;
    at += CUT_WINDOW / 2
  ) {
    let energy = 0;
    for (let i = at; i < at + CUT_WINDOW; i++) energy += (samples[i] ?? 0) ** 2;
    if (energy <= least) {
      least = energy;
      best = at + CUT_WINDOW / 2;
    }
  }
  return Math.round(best);
}
