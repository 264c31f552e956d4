import { endsUnfinished } from "./unfinished-words.ts";

/** A turn is closed after so much audio, in ms, whether or not speech goes on. */
export const MAX_TURN_MS = 20_000;

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

/** Longer than any word or number that decides, in characters. */
const END_LENGTH = 80;

/** Marks after which a sentence goes on. */
const CONTINUING = /(?:[,;:–—\-、，،；：؛]|…|\.\.\.)\s*$/u;
/** The end of a sentence, in the scripts that have a mark for it. */
const COMPLETE = /[.?!。？！।؟]["'”’)\]]*\s*$/;
/** Groups of digits, as in a telephone number, and not the decimals of a number or a time. */
const DIGITS = /(?<![\p{L}\p{N}.,:])[+(]*\p{Nd}+(?:\)?(?:[.,]?\s+|[-/])\(?\p{Nd}+)*[.,。।]*\s*$/u;
/** Fewer digits are a number; more are dictated in groups, with pauses between them. */
const FEWEST_DICTATED = 3;
const YEAR = /^(?:19|20)\d\d\D*$/;
/** Digits in words, two or more of them. */
const SPELLED =
  /(?:(?<!\p{L})(?:zero|oh|one|two|three|four|five|six|seven|eight|nine|double|null|eins|zwei|zwo|drei|vier|fünf|sechs|sieben|acht|neun|cero|uno|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|zéro|un|deux|trois|quatre|cinq|sept|huit|neuf)[\s,.-]*){2,}$/iu;

/**
 * The silence, in ms, after which a turn with this text is over. Only the last word and mark
 * decide, which needs no model.
 *
 * @param language ISO 639-1, whose words decide; undefined where it is unknown
 */
export function silenceBeforeTurnEnds(text: string, language?: string): number {
  const end = text.slice(-END_LENGTH);
  if (CONTINUING.test(end) || endsUnfinished(end, language) || endsInDictation(end)) {
    return SILENCE_MS.unfinished;
  }
  return COMPLETE.test(end) ? SILENCE_MS.complete : SILENCE_MS.unclear;
}

/** Whether a number is being dictated, of which recognisers close each group with a full stop. */
function endsInDictation(end: string): boolean {
  const [digits = ""] = DIGITS.exec(end) ?? [];
  const count = digits.match(/\p{Nd}/gu)?.length ?? 0;
  return (count >= FEWEST_DICTATED && !YEAR.test(digits)) || SPELLED.test(end);
}
