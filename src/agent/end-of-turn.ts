/**
 * Endpointing: the silence after which a turn is over, in ms since the VAD last detected speech. The
 * VAD measures a pause of 300 ms as 220 to 420 ms, since it notices the end of some words late, and
 * the beginning of most. `unclear` is longer than every such pause; `complete` need not be.
 */
export const SILENCE_MS = {
  /** The text is a whole sentence. */
  complete: 300,
  /** The text does not show whether more follows. */
  unclear: 450,
  /** The text is clearly incomplete. */
  unfinished: 1400,
} as const;

/** Silence after which the VAD reports that speech has stopped, in ms. No turn ends sooner. */
export const VAD_SILENCE_MS = 200;

/** Words and marks that often precede a pause but hardly ever end an English sentence. */
const UNFINISHED =
  /(?:[,;:–—-]|…|\.\.\.|(?<![\p{L}\p{M}\p{N}])(?:and|but|or|so|because|if|when|that|which|the|a|an|to|of|for|with|from|in|at|my|your|our|their|his|her|is|are|was|i|we|um+|uh+|er+|hmm+|like|well|then)[.…]*)\s*$/iu;
/** The end of a sentence, in the scripts that have a mark for it. */
const COMPLETE = /[.?!。？！।؟]["'”’)\]]*\s*$/;

/**
 * The silence, in ms, after which a turn with this text is over. Only the last word and mark
 * decide, which needs no model. In languages other than English only the mark counts.
 */
export function silenceBeforeTurnEnds(text: string): number {
  if (UNFINISHED.test(text)) return SILENCE_MS.unfinished;
  return COMPLETE.test(text) ? SILENCE_MS.complete : SILENCE_MS.unclear;
}
