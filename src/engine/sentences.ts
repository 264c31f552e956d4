/** Nobody waits for more than this at once, in characters. */
const LONGEST_FIRST = 100;
const LONGEST = 280;
/** A shorter piece would sound torn off. */
const SHORTEST = 24;
/** The end of a text that goes on: titles, initials, and what stands before a name or number. */
const ABBREVIATION = /(?:^|\s)(?:\p{Lu}|Dr|Mr|Mrs|Ms|St|Prof|Nr|No|vs|e\.g|i\.e|z\.B)\.$/u;
/** Where a voice may pause inside a sentence. */
const PAUSE = /[,;:–—](?=\s)/g;

/**
 * Cuts a text into pieces to be spoken one after the other: sentences, and parts of long ones. The
 * first is short, so that speech begins early.
 */
export function sentences(text: string): string[] {
  const pieces: string[] = [];
  for (const sentence of wholeSentences(text)) {
    for (let rest = sentence; rest !== ""; ) {
      const length = pieceLength(rest, pieces.length === 0 ? LONGEST_FIRST : LONGEST);
      pieces.push(rest.slice(0, length).trim());
      rest = rest.slice(length).trim();
    }
  }
  // Punctuation alone has no sound.
  return pieces.filter((piece) => /[\p{L}\p{N}]/u.test(piece));
}

/** Sentences; the segmenter takes the full stop of an abbreviation for the end of one. */
function wholeSentences(text: string): string[] {
  const segmenter = new Intl.Segmenter(undefined, { granularity: "sentence" });
  const found: string[] = [];
  for (const { segment } of segmenter.segment(text)) {
    const before = found.at(-1) ?? "";
    const sentence = segment.trim();
    if (ABBREVIATION.test(before)) found.splice(-1, 1, `${before} ${sentence}`);
    else found.push(sentence);
  }
  return found;
}

function pieceLength(text: string, longest: number): number {
  if (text.length <= longest) return text.length;
  const pauses = [...text.matchAll(PAUSE)].map(({ index }) => index + 1);
  const fitting = pauses.filter((end) => end >= SHORTEST && end <= longest);
  const end = fitting.at(-1);
  if (end !== undefined) return end;
  // Without a pause, a sentence of a bearable length is better whole.
  if (text.length <= LONGEST) return text.length;
  const space = text.lastIndexOf(" ", LONGEST);
  return space >= SHORTEST ? space : LONGEST;
}
