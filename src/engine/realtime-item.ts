import { RECOGNISER_RATE } from "./audio-tools.ts";
import { concatenated } from "./speech-spans.ts";
import { textOf, type Utterance } from "./utterance.ts";
import { normalised, wordsOf } from "./words.ts";

/** Audio without speech that is kept in case the client commits it. In samples. */
const MAX_SILENCE = 15 * RECOGNISER_RATE;
/** New audio before the next interim result is asked for. In samples. */
const INTERIM_EVERY = 0.4 * RECOGNISER_RATE;
/** Interim results may take one part in this many of the time. */
const INTERIM_SHARE = 4;

/** The audio between two commits of a realtime connection: one item of the conversation. */
export class RealtimeItem implements Disposable {
  readonly id: string;
  readonly #utterance: Utterance;
  readonly #words = new InterimWords();
  /** Audio that the utterance gets when speech begins. */
  #buffered = new Float32Array();
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

  get samples(): number {
    return this.#samples;
  }

  get audioMs(): number {
    return (this.#samples / RECOGNISER_RATE) * 1000;
  }

  push(samples: Float32Array): void {
    this.#samples += samples.length;
    if (this.#hasSpeech) this.#utterance.push(samples);
    else this.#buffered = concatenated(this.#buffered, samples).slice(-MAX_SILENCE);
  }

  /**
   * From here on all audio is recognised.
   *
   * @param before samples that were pushed already and belong to the speech
   */
  beginSpeech(before: number): void {
    if (this.#hasSpeech) return;
    this.#hasSpeech = true;
    if (before > 0) this.#utterance.push(this.#buffered.slice(-before));
    this.#buffered = new Float32Array();
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

  /** Resolves once the recognition keeps up with the audio; what is wrong with it `finish` reports. */
  async ready(signal: AbortSignal): Promise<void> {
    await this.#utterance.ready(signal).catch(() => {});
  }

  /** The final text, and what of it no delta has contained yet. Nothing may be pushed afterwards. */
  async finish(signal: AbortSignal): Promise<{ text: string; rest: string | undefined }> {
    this.#finished = true;
    this.beginSpeech(this.#buffered.length);
    const text = textOf(await this.#utterance.finish(signal));
    return { text, rest: this.#words.finish(text) };
  }

  [Symbol.dispose](): void {
    this.#finished = true;
    this.#utterance[Symbol.dispose]();
  }
}

/** So many of the sent words are looked for in a result, and so many words around their place. */
const ALIGNED_WORDS = 30;

/**
 * Turns interim results, in which words may still change, into words that can be sent: a word is
 * certain once two results in a row agree on it and on everything between it and the words sent
 * before ("local agreement", Liu et al., https://arxiv.org/abs/2005.11185). Sent words are never
 * taken back: where the recogniser changes its mind later, only the final text shows it.
 */
export class InterimWords {
  readonly #sent: string[] = [];
  #previous: string[] = [];
  /** Where the sent words ended in the newest result. */
  #at = 0;

  /** @returns the text to append to what was sent before, or undefined */
  update(result: string): string | undefined {
    const words = wordsOf(result);
    const before = this.#previous.slice(this.#endOfSent(this.#previous));
    const at = this.#endOfSent(words);
    const agreed = agreement(words.slice(at), before);
    this.#previous = words;
    return this.#append(words, at, at + agreed);
  }

  /** @returns the text to append for a result that is certain, or undefined */
  finish(result: string): string | undefined {
    const words = wordsOf(result);
    return this.#append(words, this.#endOfSent(words), words.length);
  }

  #append(words: string[], from: number, to: number): string | undefined {
    this.#at = Math.max(from, to);
    const added = words.slice(from, to);
    if (added.length === 0) return undefined;
    const isFirst = this.#sent.length === 0;
    this.#sent.push(...added);
    const text = added.join("");
    // A text's first word has no space before it, but may come after others here.
    return isFirst ? text.trimStart() : /^\s/.test(text) || from > 0 ? text : ` ${text}`;
  }

  /**
   * Where the words that were sent end in a result. It may have more or fewer words for them by now,
   * so the place is the one with the fewest differences before it.
   */
  #endOfSent(words: readonly string[]): number {
    const sent = this.#sent.slice(-ALIGNED_WORDS).map(normalised);
    const from = Math.max(0, this.#at - 2 * ALIGNED_WORDS);
    const candidates = words.slice(from, this.#at + ALIGNED_WORDS).map(normalised);
    // The edit distance of the sent words to each beginning of the candidates.
    const isWhole = sent.length === this.#sent.length && from === 0;
    let row = Array.from({ length: candidates.length + 1 }, (_, i) => (isWhole ? i : 0));
    for (const [i, word] of sent.entries()) {
      const next = [i + 1];
      for (const [j, other] of candidates.entries()) {
        const replaced = (row[j] ?? 0) + (word === other ? 0 : 1);
        next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
      }
      row = next;
    }
    return from + (sent.length === 0 ? 0 : row.lastIndexOf(Math.min(...row)));
  }
}

/** How many words from the start are equal, ignoring case and punctuation. */
function agreement(a: readonly string[], b: readonly string[]): number {
  const differs = a.findIndex((word, i) => normalised(word) !== normalised(b[i] ?? ""));
  return differs < 0 ? Math.min(a.length, b.length) : differs;
}
