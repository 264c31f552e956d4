/**
 * Silence after which a turn is over, in ms since the VAD last heard speech. By its clock a pause
 * of 300 ms lasts 220 to 420 ms, since it notices the end of some words late and the beginning of
 * most: `unclear` outlasts every such pause, and `complete` need not.
 */
export const SILENCE_MS = {
  /** The words are a whole sentence. */
  complete: 300,
  /** The words do not say whether more is coming. */
  unclear: 450,
  /** The words ask for more. */
  unfinished: 1400,
} as const;

/** Silence after which the VAD says that speech has stopped, in ms; no turn is over before. */
export const VAD_SILENCE_MS = 200;

/** Words and marks on which hardly any English sentence ends, but many a pause falls. */
const UNFINISHED =
  /(?:[,;:–—-]|…|\.\.\.|(?<![\p{L}\p{M}\p{N}])(?:and|but|or|so|because|if|when|that|which|the|a|an|to|of|for|with|from|in|at|my|your|our|their|his|her|is|are|was|i|we|um+|uh+|er+|hmm+|like|well|then)[.…]*)\s*$/iu;
/** The end of a sentence, in the scripts that mark it. */
const COMPLETE = /[.?!。？！।؟]["'”’)\]]*\s*$/;

/**
 * The silence, in ms, after which a turn with this text is over. Judged by the last word and mark
 * alone: it costs nothing and needs no model. Text of languages other than English is judged by
 * its marks.
 */
export function silenceBeforeTurnEnds(text: string): number {
  if (UNFINISHED.test(text)) return SILENCE_MS.unfinished;
  return COMPLETE.test(text) ? SILENCE_MS.complete : SILENCE_MS.unclear;
}
