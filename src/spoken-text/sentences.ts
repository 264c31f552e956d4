import { cutLong, LONG_FIRST_SENTENCE, pauseToCut } from "./cut-long.ts";
import { isCommonWord } from "./language.ts";
import { endsWithLine } from "./lines.ts";
import {
  endsAtSpace,
  endsBefore,
  endsDirectly,
  isBeforeName,
  sentenceEnd,
} from "./sentence-end.ts";

/** What separates words without a sound, and may stop a voice in the middle of its text. */
const SOUNDLESS = /[\p{Cc}\p{Co}\p{Cn}\u2028\u2029\ufffd\ufffe\uffff]/gu;
/** Invisible marks within words; the joiners of Persian and of Indic scripts stay. */
const INVISIBLE = /[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/gu;
/** A wrapped line has about as many characters; a shorter one is a heading or an item. */
const WRAPPED_LINE = 50;

/**
 * Cuts a whole text into pieces that are spoken one after the other: sentences, and parts of long
 * ones. The first piece is short, so that speech begins early. Control characters and halves of
 * surrogate pairs are left out, and so is what has no letter or digit.
 */
export function sentences(text: string): string[] {
  const pieces: string[] = [];
  for (const sentence of wholeSentences(speakable(text))) {
    const isLongFirst = pieces.length === 0 && sentence.length > LONG_FIRST_SENTENCE;
    const pause = isLongFirst ? pauseToCut(sentence, LONG_FIRST_SENTENCE) : undefined;
    const parts = [sentence.slice(0, pause), pause === undefined ? "" : sentence.slice(pause)];
    pieces.push(
      ...parts
        .map((part) => part.trim())
        .flatMap(cutLong)
        .filter(hasSound),
    );
  }
  return pieces;
}

function hasSound(piece: string): boolean {
  return /[\p{L}\p{N}]/u.test(piece);
}

function speakable(text: string): string {
  return text
    .toWellFormed()
    .replace(INVISIBLE, "")
    .replace(/\r\n?/g, "\n")
    .replace(SOUNDLESS, (char) => (char === "\n" ? char : " "));
}

/** A place between two words where a sentence may end, and the word that follows it. */
const GAP = /(\s+)(\S+)/gu;
/** A mark that ends a sentence without a space after it. */
const DIRECT_GAP = /[。！？｡．।॥။។][」』）】》〉"'”’]*(?=\S)/gu;

function wholeSentences(text: string): string[] {
  const found: string[] = [];
  for (const part of text.split(/\n[^\S\n]*(?:\n\s*)+/)) {
    let start = 0;
    for (const { end, next } of gapsOf(part)) {
      if (!endsAt(part.slice(start, end.from), part.slice(end.from, end.to), next)) continue;
      found.push(part.slice(start, end.from));
      start = end.to;
    }
    found.push(part.slice(start));
  }
  return found.map((sentence) => sentence.replace(/\s+/g, " ").trim()).filter(Boolean);
}

interface Gap {
  end: { from: number; to: number };
  next: string;
}

function gapsOf(text: string): Gap[] {
  const spaces = [...text.matchAll(GAP)].map(({ index, 1: space = "", 2: next = "" }) => {
    return { end: { from: index, to: index + space.length }, next };
  });
  const marks = [...text.matchAll(DIRECT_GAP)].map(({ index, 0: mark }) => {
    const at = index + mark.length;
    return { end: { from: at, to: at }, next: text.slice(at, at + 1) };
  });
  return [...spaces, ...marks].sort((a, b) => a.end.from - b.end.from);
}

/**
 * @param before the sentence so far
 * @param gap the white space after it
 * @param next the word that follows
 */
function endsAt(before: string, gap: string, next: string): boolean {
  if (before.trim() === "") return false;
  if (gap === "") return endsDirectly(before);
  if (gap.includes("\n") && endsWithItsLine(before, next)) return true;
  const first = next[0] ?? "";
  if (endsDirectly(before) || endsAtSpace(before, first)) return true;
  const end = sentenceEnd(before.trimStart());
  if (end !== "unclear") return end === "yes";
  return endsBefore(before, first) && (!isBeforeName(before) || isCommonWord(next));
}

/** A line break ends an item, a heading and a short line; it only wraps a long one. */
function endsWithItsLine(before: string, next: string): boolean {
  const line = before.slice(before.lastIndexOf("\n") + 1).trim();
  if (endsWithLine(`${line}\n`) || /^(?:[-+*•‣◦▪●]|\d{1,3}[.)])$/u.test(next)) return true;
  const isHeading = line.length < WRAPPED_LINE && !/[,;:–—-]$/.test(line);
  return isHeading && !/^[\p{Ll}\p{P}]/u.test(next) && sentenceEnd(line) !== "unclear";
}
