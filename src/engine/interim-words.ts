/**
 * Turns the wavering results of a recogniser that hears an utterance grow into words that can be
 * sent: a word counts as certain once two results in a row agree on it and all between it and what
 * was given before (the "local agreement" of Liu et al., https://arxiv.org/abs/2005.11185). What was
 * given is never taken back: where the recogniser changes its mind later, the whole text says so.
 */
export class InterimWords {
  #given = 0;
  #previous: string[] = [];

  /** @returns the text to add to what was given before, or undefined */
  update(result: string): string | undefined {
    const words = wordsOf(result);
    const agreed = agreement(words.slice(this.#given), this.#previous.slice(this.#given));
    this.#previous = words;
    return this.#give(words.slice(this.#given, this.#given + agreed));
  }

  /** @returns what a result that is certain adds */
  finish(result: string): string | undefined {
    return this.#give(wordsOf(result).slice(this.#given));
  }

  #give(words: string[]): string | undefined {
    if (words.length === 0) return undefined;
    const before = this.#given === 0 ? "" : " ";
    this.#given += words.length;
    return before + words.join(" ");
  }
}

function wordsOf(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}

/** How many words are the same from the start, whatever their case and punctuation. */
function agreement(a: readonly string[], b: readonly string[]): number {
  const differs = a.findIndex((word, i) => bare(word) !== bare(b[i] ?? ""));
  return differs < 0 ? Math.min(a.length, b.length) : differs;
}

function bare(word: string): string {
  return word.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "") || word;
}
