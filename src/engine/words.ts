/** A word with its bounds in seconds from the beginning of the audio. */
export interface Word {
  word: string;
  start: number;
  end: number;
}

/** Scripts that are written without spaces, where each character counts as a word. */
const UNSPACED = "\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Thai}";
const WORD = new RegExp(`\\s*(?:[${UNSPACED}]\\p{M}*|[^\\s${UNSPACED}]+)`, "gu");
const ENDS_UNSPACED = new RegExp(`[${UNSPACED}、。，！？]$`, "u");
const BEGINS_UNSPACED = new RegExp(`^[${UNSPACED}、。，！？]`, "u");

/** The words of a text, each with the space before it: joined they are the text again. */
export function wordsOf(text: string): string[] {
  return text.trim().match(WORD) ?? [];
}

/** Two texts as one, with a space between them where their script has spaces. */
export function joinedTexts(a: string, b: string): string {
  if (a === "" || b === "") return a + b;
  return a + (ENDS_UNSPACED.test(a) && BEGINS_UNSPACED.test(b) ? "" : " ") + b;
}

/** A word without case and punctuation, to compare it with another. */
export function normalised(word: string): string {
  return word.toLowerCase().replace(/[^\p{L}\p{N}\p{M}]/gu, "") || word.trim();
}

/** Words at the end of one text and the beginning of the next that a second of overlap can hold. */
const OVERLAPPING_WORDS = 5;

/**
 * What of `after` is new, where it was recognised from audio that begins before `before` ends. The
 * last words of the one are looked for among the first words of the other; a word at the cut itself
 * may be wrong in either, so it may be left out, but no more than the match is sure of.
 *
 * @param share the part of `after`'s time that overlaps; it decides where the texts have no words in
 *   common
 * @returns how many words of each are kept: the first of `before`, and those after the first of
 *   `after`
 */
export function overlapOf(
  before: readonly string[],
  after: readonly string[],
  share: number,
): { kept: number; skipped: number } {
  const from = Math.max(0, before.length - OVERLAPPING_WORDS);
  const last = before.slice(from).map(normalised);
  const first = after.slice(0, OVERLAPPING_WORDS).map(normalised);
  let best = { score: 0, kept: before.length, skipped: Math.round(after.length * share) };
  for (let i = 0; i < last.length; i++) {
    for (let j = 0; j < first.length; j++) {
      const length = matchLength(last.slice(i), first.slice(j));
      const lost = last.length - (i + length) + j;
      const score = 2 * length - lost;
      if (score > best.score) best = { score, kept: from + i + length, skipped: j + length };
    }
  }
  return best;
}

function matchLength(a: readonly string[], b: readonly string[]): number {
  const differs = a.findIndex((word, i) => word !== b[i]);
  return differs < 0 ? a.length : differs;
}

/** A phrase or a longer word four times in a row, or any word eight times: hardly anybody says it. */
const LOOP = /(\S+\s+)(?:\1){7,}|(\S{5,}\s+|(?:\S+\s+){2,8}?)(?:\2){3,}/giu;

/** A text in which a recogniser fell into a loop, with what it repeats said once. */
export function withoutLoops(text: string): string {
  return `${text} `.replace(LOOP, "$1$2").trimEnd();
}

/** What the recognisers of sherpa-onnx return for a stretch of audio. */
export interface TimedTokens {
  text: string;
  tokens?: string[];
  /** When each token begins, in seconds; empty where the model tells no times. */
  timestamps?: number[];
  /** How long each token is, in seconds, where the model tells it. */
  durations?: number[];
}

/**
 * The words with their times, from tokens that are parts of words.
 *
 * @param endS when the audio ends, in seconds
 * @returns undefined where the model tells no times
 */
export function timedWords(result: TimedTokens, endS: number): Word[] | undefined {
  const { tokens = [], timestamps = [], durations = [] } = result;
  if (timestamps.length === 0 || timestamps.length !== tokens.length) return undefined;
  const words: Word[] = [];
  for (const [i, token] of tokens.entries()) {
    const text = token.replaceAll("▁", " ");
    if (/^\s*<.*>$|^\s*$/.test(text)) continue;
    const start = timestamps[i] ?? 0;
    const end = Math.min(endS, start + (durations[i] || (timestamps[i + 1] ?? endS) - start));
    const previous = words.at(-1);
    if (previous && !startsWord(text, previous.word)) {
      previous.word += text;
      previous.end = end;
    } else words.push({ word: text.trim(), start, end });
  }
  return words.map(withoutPause);
}

/** Models that tell no durations leave a pause to the word before it. */
const MAX_LAST_TOKEN_S = 0.6;

function withoutPause({ word, start, end }: Word): Word {
  const spoken = start + MAX_LAST_TOKEN_S + word.length * 0.08;
  return { word, start: rounded(start), end: rounded(Math.min(end, spoken)) };
}

function startsWord(token: string, before: string): boolean {
  if (token.startsWith(" ")) return true;
  return BEGINS_UNSPACED.test(token) && /[\p{L}\p{N}]$/u.test(token)
    ? true
    : ENDS_UNSPACED.test(before) && /^[\p{L}\p{N}]/u.test(token);
}

/** Seconds to the millisecond. */
export function rounded(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}
