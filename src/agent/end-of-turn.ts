/**
 * Silence after which a turn may end, in ms since the last speech. A pause of 300 ms inside a
 * sentence, plus the time the VAD needs to notice that speech goes on, stays below it.
 */
export const TURN_END_MS = 430;

/** Silence that is allowed to someone whose words say that more is coming, in ms. */
export const TURN_CONTINUES_MS = 1400;

/** Words and marks on which hardly any English sentence ends, but many a pause falls. */
const UNFINISHED =
  /(?:[,;:–—-]|…|\.\.\.|\b(?:and|but|or|so|because|if|when|that|which|the|a|an|to|of|for|with|from|in|at|my|your|our|their|his|her|is|are|was|i|we|um+|uh+|er+|hmm+|like|well|then)[.…]*)\s*$/i;

/**
 * True when the words so far ask for more: they end on a comma, a conjunction, an article or a
 * filler. It costs nothing and needs no model; text of other languages is judged by its
 * punctuation alone.
 */
export function expectsMore(text: string): boolean {
  return UNFINISHED.test(text);
}

/** Silence in ms, counted from the last speech, after which the turn with this text is over. */
export function silenceBeforeTurnEnds(text: string): number {
  return expectsMore(text) ? TURN_CONTINUES_MS : TURN_END_MS;
}
