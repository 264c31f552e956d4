import { RECOGNISER_RATE, textOf, type Utterance } from "./utterance.ts";

/** Audio kept from before speech was detected: its first sounds come earlier. In samples. */
const PRE_ROLL = 0.6 * RECOGNISER_RATE;
/** Audio without speech that is kept in case the client commits it. In samples. */
const MAX_SILENCE = 15 * RECOGNISER_RATE;
/** New audio before the next interim result is asked for. In samples. */
const INTERIM_EVERY = 0.4 * RECOGNISER_RATE;
/** Interim results may take one part in this many of the time. */
const INTERIM_SHARE = 4;

/** The audio between two commits of a realtime connection: one item of the conversation. */
export class RealtimeItem {
  readonly id: string;
  readonly #utterance: Utterance;
  readonly #words = new InterimWords();
  /** Audio that the utterance gets when speech begins. */
  #buffered: Float32Array[] = [];
  #bufferedSamples = 0;
  #hasSpeech = false;
  /** All samples of this item, and how many there were at the last interim result. */
  #samples = 0;
  #samplesAtInterim = 0;
  #interimAfter = INTERIM_EVERY;
  #interimRunning = false;
  #finished = false;

  constructor(id: string, utterance: Utterance) {
    this.id = id;
    this.#utterance = utterance;
  }

  get audioMs(): number {
    return (this.#samples / RECOGNISER_RATE) * 1000;
  }

  /** @param speaking whether these samples contain speech */
  push(samples: Float32Array, speaking: boolean): void {
    this.#samples += samples.length;
    if (this.#hasSpeech) {
      this.#utterance.push(samples);
      return;
    }
    this.#buffered.push(samples);
    this.#bufferedSamples += samples.length;
    this.#trimBuffer(speaking ? PRE_ROLL : MAX_SILENCE);
    if (speaking) this.#flushBuffer();
  }

  /**
   * Asks for an interim result if one is due.
   *
   * @returns the words that became certain since the last one
   */
  async interim(signal: AbortSignal): Promise<string | undefined> {
    if (!this.#hasSpeech || this.#interimRunning || this.#finished) return undefined;
    if (this.#samples - this.#samplesAtInterim < this.#interimAfter) return undefined;
    this.#samplesAtInterim = this.#samples;
    this.#interimRunning = true;
    try {
      const started = performance.now();
      const text = await this.#utterance.interim(signal);
      const tookMs = performance.now() - started;
      const affordable = (tookMs / 1000) * RECOGNISER_RATE * INTERIM_SHARE;
      this.#interimAfter = Math.max(INTERIM_EVERY, affordable);
      if (text === undefined || this.#finished) return undefined;
      return this.#utterance.revisable ? this.#words.update(text) : this.#words.finish(text);
    } finally {
      this.#interimRunning = false;
    }
  }

  /** The final text, and what of it no delta has contained yet. Nothing may be pushed afterwards. */
  async finish(signal: AbortSignal): Promise<{ text: string; rest: string | undefined }> {
    this.#finished = true;
    this.#flushBuffer();
    const text = textOf(await this.#utterance.finish(signal));
    return { text, rest: this.#words.finish(text) };
  }

  #flushBuffer(): void {
    this.#hasSpeech = true;
    for (const samples of this.#buffered) this.#utterance.push(samples);
    this.#buffered = [];
    this.#bufferedSamples = 0;
  }

  /** Removes the oldest audio as long as `length` samples remain. */
  #trimBuffer(length: number): void {
    for (let first = this.#buffered[0]; first; first = this.#buffered[0]) {
      if (this.#bufferedSamples - first.length < length) return;
      this.#buffered.shift();
      this.#bufferedSamples -= first.length;
    }
  }
}

/**
 * Turns interim results, in which words may still change, into words that can be sent: a word is
 * certain once two results in a row agree on it and on everything between it and the words sent
 * before ("local agreement", Liu et al., https://arxiv.org/abs/2005.11185). Sent words are never
 * taken back: where the recogniser changes its mind later, only the final text shows it.
 */
export class InterimWords {
  #sent = 0;
  #previous: string[] = [];

  /** @returns the text to append to what was sent before, or undefined */
  update(result: string): string | undefined {
    const words = wordsOf(result);
    const agreed = agreement(words.slice(this.#sent), this.#previous.slice(this.#sent));
    this.#previous = words;
    return this.#append(words.slice(this.#sent, this.#sent + agreed));
  }

  /** @returns the text to append for a result that is certain, or undefined */
  finish(result: string): string | undefined {
    return this.#append(wordsOf(result).slice(this.#sent));
  }

  #append(words: string[]): string | undefined {
    if (words.length === 0) return undefined;
    const separator = this.#sent === 0 ? "" : " ";
    this.#sent += words.length;
    return separator + words.join(" ");
  }
}

function wordsOf(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}

/** How many words from the start are equal, ignoring case and punctuation. */
function agreement(a: readonly string[], b: readonly string[]): number {
  const differs = a.findIndex((word, i) => normalised(word) !== normalised(b[i] ?? ""));
  return differs < 0 ? Math.min(a.length, b.length) : differs;
}

function normalised(word: string): string {
  return word.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "") || word;
}
