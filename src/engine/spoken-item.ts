import { InterimWords } from "./interim-words.ts";
import type { Heard, Utterance } from "./recogniser.ts";
import { HEARING_RATE } from "./split-audio.ts";

/** Audio kept from before speech was noticed, in samples: the first sounds come before that. */
const PRE_ROLL = 0.6 * HEARING_RATE;
/** Audio without speech that is kept, in case somebody commits it all the same. */
const LONGEST_SILENCE = 15 * HEARING_RATE;
/** New audio before the text so far is asked for again. */
const INTERIM_EVERY = 0.4 * HEARING_RATE;
/** Interims may take one part in this many of the time. */
const INTERIM_SHARE = 4;

/** The stretch of audio between two commits of a realtime connection. */
export class SpokenItem {
  readonly id: string;
  readonly #utterance: Utterance;
  readonly #words = new InterimWords();
  #held: Float32Array[] = [];
  #heldSamples = 0;
  #spoken = false;
  /** Samples in all, and those when the text was last asked for. */
  #samples = 0;
  #asked = 0;
  #nextAfter = INTERIM_EVERY;
  #asking = false;
  #ended = false;

  constructor(id: string, utterance: Utterance) {
    this.id = id;
    this.#utterance = utterance;
  }

  get audioMs(): number {
    return (this.#samples / HEARING_RATE) * 1000;
  }

  /** @param speaking whether somebody speaks now */
  push(samples: Float32Array, speaking: boolean): void {
    this.#samples += samples.length;
    if (this.#spoken) {
      this.#utterance.push(samples);
      return;
    }
    this.#held.push(samples);
    this.#heldSamples += samples.length;
    this.#trim(speaking ? PRE_ROLL : LONGEST_SILENCE);
    if (speaking) this.#release();
  }

  /**
   * Asks for the text so far, where it is time to.
   *
   * @returns the words that are certain now and were not before
   */
  async interim(signal: AbortSignal): Promise<string | undefined> {
    if (!this.#spoken || this.#asking || this.#ended) return undefined;
    if (this.#samples - this.#asked < this.#nextAfter) return undefined;
    this.#asked = this.#samples;
    this.#asking = true;
    try {
      const started = performance.now();
      const text = await this.#utterance.interim(signal);
      const tookMs = performance.now() - started;
      const affordable = (tookMs / 1000) * HEARING_RATE * INTERIM_SHARE;
      this.#nextAfter = Math.max(INTERIM_EVERY, affordable);
      if (text === undefined || this.#ended) return undefined;
      return this.#utterance.wavers ? this.#words.update(text) : this.#words.finish(text);
    } finally {
      this.#asking = false;
    }
  }

  /** The whole text, and what of it was not given yet. Nothing is pushed afterwards. */
  async finish(signal: AbortSignal): Promise<{ text: string; rest: string | undefined }> {
    this.#ended = true;
    this.#release();
    const heard: Heard[] = await this.#utterance.finish(signal);
    const text = heard
      .map((part) => part.text)
      .filter(Boolean)
      .join(" ");
    return { text, rest: this.#words.finish(text) };
  }

  #release(): void {
    this.#spoken = true;
    for (const samples of this.#held) this.#utterance.push(samples);
    this.#held = [];
    this.#heldSamples = 0;
  }

  #trim(most: number): void {
    for (let first = this.#held[0]; first; first = this.#held[0]) {
      if (this.#heldSamples - first.length < most) return;
      this.#held.shift();
      this.#heldSamples -= first.length;
    }
  }
}
