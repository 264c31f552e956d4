/** Where a voice may pause within a sentence. */
const PAUSE = /[,;:–—،؛](?=\s)|[、，；：]/gu;
/** A shorter piece would sound cut off, in characters. */
const SHORTEST_PIECE = 24;

/** A text begins with a part of its first sentence if that is longer, in characters. */
export const LONG_FIRST_SENTENCE = 100;

/** The longest piece of text that is sent to a voice at once, in characters. */
export const LONGEST_PIECE = 300;

/**
 * Where to cut a text that is too long: at its last pause, else between words, else anywhere.
 *
 * @param longest the most characters before the cut
 * @param mayCut whether a place is allowed
 * @returns the length of the first part; undefined if no place is allowed
 */
export function placeToCut(
  text: string,
  longest: number,
  mayCut: (length: number) => boolean = () => true,
): number | undefined {
  return pauseToCut(text, longest, mayCut) ?? wordToCut(text, longest, mayCut);
}

/** Where a text may be cut at a pause; undefined if it has none. */
export function pauseToCut(
  text: string,
  longest: number,
  mayCut: (length: number) => boolean = () => true,
): number | undefined {
  const pauses = [...text.matchAll(PAUSE)].map(({ index }) => index + 1);
  return pauses.findLast((end) => end >= SHORTEST_PIECE && end <= longest && mayCut(end));
}

function wordToCut(text: string, longest: number, mayCut: (length: number) => boolean) {
  const spaces = [...text.matchAll(/\s/g)].map(({ index }) => index);
  const space = spaces.findLast((end) => end >= SHORTEST_PIECE && end <= longest && mayCut(end));
  if (space !== undefined) return space;
  // Thai, Chinese and Japanese write no spaces; the segmenter knows their words.
  const words = new Intl.Segmenter("en", { granularity: "word" }).segment(
    text.slice(0, longest + 1),
  );
  const starts = [...words].map(({ index }) => index);
  const start = starts.findLast((end) => end >= SHORTEST_PIECE && end <= longest && mayCut(end));
  if (start !== undefined) return start;
  // Half of a character outside the basic plane would be none.
  const isPair = /[\uD800-\uDBFF]$/.test(text.slice(0, longest));
  const end = isPair ? longest - 1 : longest;
  return mayCut(end) ? end : undefined;
}

/** Cuts a sentence into pieces of at most `LONGEST_PIECE` characters. */
export function cutLong(text: string): string[] {
  const pieces: string[] = [];
  let rest = text;
  while (rest.length > LONGEST_PIECE) {
    const end = placeToCut(rest, LONGEST_PIECE) ?? LONGEST_PIECE;
    pieces.push(rest.slice(0, end).trim());
    rest = rest.slice(end).trim();
  }
  return [...pieces, rest];
}
