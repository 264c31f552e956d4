/**
 * Turns the wavering results of a recogniser that hears an utterance grow into words that can be
 * sent: a word counts as certain once two results in a row agree on it and all before it (the
 * "local agreement" of Liu et al., https://arxiv.org/abs/2005.11185). What was given is never
 * taken back.
 */
export class InterimWords {
  #given: string[] = [];
  #previous: string[] = [];

  /** @returns the text to add to what was given before, or undefined */
  update(result: string): string | undefined {
    const words = wordsOf(result);
    const agreed = agreement(words, this.#previous);
    this.#previous = words;
    return this.#give(words.slice(0, agreed));
  }

  /** @returns what the last result adds, if it goes on from what was given */
  finish(result: string): string | undefined {
    return this.#give(wordsOf(result));
  }

  #give(words: string[]): string | undefined {
    if (words.length <= this.#given.length) return undefined;
    if (agreement(words, this.#given) < this.#given.length) return undefined;
    const fresh = words.slice(this.#given.length).join(" ");
    const delta = this.#given.length === 0 ? fresh : ` ${fresh}`;
    this.#given = words;
    return delta;
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
