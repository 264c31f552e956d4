import { cutLong, LONG_FIRST_SENTENCE, LONGEST_PIECE, pauseToCut, placeToCut } from "./cut-long.ts";
import { isCommonWord, languageOf, type SpokenLanguage } from "./language.ts";
import {
  closesFence,
  endsWithLine,
  isIndentedCode,
  isListItem,
  isReadAsWhole,
  openedFence,
} from "./lines.ts";
import { withoutMarkup } from "./markup.ts";
import { isInsideConstruct } from "./open-construct.ts";
import { readAloud } from "./reading.ts";
import {
  endsAtSpace,
  endsBefore,
  endsDirectly,
  isBeforeName,
  sentenceEnd,
} from "./sentence-end.ts";
import { VOCABULARY } from "./vocabulary.ts";

/** Text without the end of a sentence is cut at this length: spoken, signs become longer. */
const LONG_SENTENCE = 280;
/** No line or construct is held for longer, in characters. */
const LONGEST_HELD = 4000;
/** The end of the text so far may be an address, which is read as a whole. */
const OPEN_ADDRESS = /(?:https?:\/\/|www\.)\S{0,2000}$/i;
const BREAK_TAG = /<\/?(?:br|p|div|li|tr|h[1-6]|summary)\b[^<>]{0,100}>$/i;
/** The language is detected in the last part of an answer, in characters. */
const TELLING_LENGTH = 2000;

/**
 * Turns the Markdown of an answer, as it arrives, into the sentences that a voice speaks. Where the
 * text is cut depends only on what came before, not on how it was divided into chunks.
 */
export class SpokenText {
  readonly #chosenLanguage: string | null;
  /** The language of what was said before, for an answer that does not tell its own. */
  readonly #assumedLanguage: SpokenLanguage | null;
  /** What has not been spoken yet. */
  #raw = "";
  /** Whether `#raw` begins a line. */
  #isLineStart = true;
  /** The mark of the block of code that the text is in. */
  #fence: string | undefined;
  /** The line before was empty. */
  #isAfterBlank = true;
  #isInList = false;
  #spoken = "";
  #hasSpoken = false;
  #hasNamedCode = false;

  /**
   * @param language an ISO 639-1 code; null: it is detected in the text
   * @param context what was said before, which tells the language of an answer without words
   */
  constructor(language: string | null, context = "") {
    this.#chosenLanguage = language;
    this.#assumedLanguage = languageOf(context.slice(-TELLING_LENGTH), language);
  }

  /** Takes more text and returns the sentences that are complete with it. */
  push(text: string): string[] {
    const pieces: string[] = [];
    for (const char of text.replace(/\r\n?/g, "\n")) pieces.push(...this.#step(char));
    return pieces;
  }

  /** Returns the sentence that is complete if nothing follows; for when the text pauses. */
  settle(): string[] {
    const text = this.#raw.trimEnd();
    if (this.#fence !== undefined || isInsideConstruct(text) || isReadAsWhole(text)) return [];
    const end = sentenceEnd(text);
    // "3." may go on with "5", "e.g." with anything; after quotes only a pause tells.
    const isWhole = end === "yes" ? !/\d\.$/.test(text) : end === "unclear" && !/[.…]$/.test(text);
    return isWhole ? this.#cut(this.#raw.length) : [];
  }

  /** Returns what is left. */
  end(): string[] {
    if (this.#fence !== undefined) return [];
    const opened = this.#isLineStart ? openedFence(this.#raw) : undefined;
    if (opened && !/[^`~\w]/.test(this.#raw.slice(opened.before.length)))
      return this.#openFence(opened);
    return this.#isCode() ? this.#nameCode() : this.#cut(this.#raw.length);
  }

  #step(char: string): string[] {
    if (this.#fence !== undefined) {
      this.#stepInFence(this.#fence, char);
      return [];
    }
    if (this.#endsParagraph(char)) {
      const indent = /[^\S\n]*$/.exec(this.#raw)?.[0] ?? "";
      const pieces = this.#cut(this.#raw.length - indent.length);
      this.#isLineStart = true;
      return [...pieces, ...this.#step(char)];
    }
    const before = this.#raw;
    this.#raw += char;
    if (char === "\n") return this.#endLine();
    const line = this.#raw.slice(this.#raw.lastIndexOf("\n") + 1);
    if (this.#raw.length >= LONGEST_HELD) return this.#cut(this.#raw.length);
    if (isReadAsWhole(line)) return [];
    const end = this.#sentenceLength(before, char) ?? this.#longLength();
    return end === undefined ? [] : this.#cut(end);
  }

  #stepInFence(mark: string, char: string): void {
    if (char !== "\n") {
      this.#raw += char;
      return;
    }
    if (closesFence(this.#raw, mark)) this.#fence = undefined;
    this.#raw = "";
    this.#isLineStart = true;
    this.#isAfterBlank = true;
  }

  /** Whether the paragraph before a line break ends there; a small letter continues it. */
  #endsParagraph(char: string): boolean {
    if (!/\n[^\S\n]*$/.test(this.#raw) || this.#raw.trim() === "") return false;
    if (/[^\S\n]/.test(char) || /\p{Ll}/u.test(char)) return false;
    return !isInsideConstruct(this.#raw);
  }

  #endLine(): string[] {
    const text = this.#raw.slice(0, -1);
    const opened = openedFence(text);
    if (opened) return this.#openFence(opened);
    if (text.trim() === "") {
      this.#raw = "";
      this.#isLineStart = true;
      this.#isAfterBlank = true;
      return [];
    }
    if (this.#isCode()) {
      this.#raw = "";
      return this.#nameCode();
    }
    if (isInsideConstruct(text)) return [];
    const isEnd = sentenceEnd(text.trimEnd()) !== "no";
    if (isEnd || (this.#isLineStart && endsWithLine(text))) {
      const pieces = this.#cut(this.#raw.length);
      this.#isLineStart = true;
      return pieces;
    }
    return [];
  }

  /** The length of the sentence that a character completes, by itself or by what it begins. */
  #sentenceLength(before: string, char: string): number | undefined {
    const text = before.trimEnd();
    if (/\s/.test(char)) {
      const isEnd = text.length === before.length && sentenceEnd(text) === "yes";
      return isEnd && !isInsideConstruct(text) ? this.#raw.length : endBeforeLastWord(before);
    }
    if (endsDirectly(this.#raw) || BREAK_TAG.test(this.#raw)) {
      return isInsideConstruct(this.#raw) ? undefined : this.#raw.length;
    }
    if (text.length === before.length) {
      const isUnspaced = /\p{Ll}[!?]$/u.test(text) && /\p{Lu}/u.test(char);
      const mayCut = !OPEN_ADDRESS.test(before) && !isInsideConstruct(text);
      return isUnspaced && mayCut ? before.length : undefined;
    }
    const isUnclear = sentenceEnd(text) === "unclear" && !isBeforeName(text);
    const isSettled = isUnclear && endsBefore(text, char);
    const isEnd = isSettled || endsAtSpace(text, char);
    return isEnd && !isInsideConstruct(text) ? before.length : undefined;
  }

  /** The length of the first part of a text that has become too long for a sentence. */
  #longLength(): number | undefined {
    const { length } = this.#raw;
    const isLong = length >= LONG_SENTENCE;
    const isLongFirst = !this.#hasSpoken && length >= LONG_FIRST_SENTENCE;
    if (!(isLong || isLongFirst) || OPEN_ADDRESS.test(this.#raw)) return undefined;
    const mayCut = (end: number) => !isInsideConstruct(this.#raw.slice(0, end));
    if (!isLong) return pauseToCut(this.#raw, LONG_FIRST_SENTENCE, mayCut);
    return placeToCut(this.#raw, LONGEST_PIECE, mayCut);
  }

  #isCode(): boolean {
    return this.#isLineStart && this.#isAfterBlank && !this.#isInList && isIndentedCode(this.#raw);
  }

  #openFence({ before, mark }: { before: string; mark: string }): string[] {
    this.#raw = before;
    const pieces = this.#cut(before.length);
    this.#raw = "";
    this.#fence = mark;
    return [...pieces, ...this.#nameCode()];
  }

  /** Says once in an answer that code was left out. */
  #nameCode(): string[] {
    if (this.#hasNamedCode) return [];
    this.#hasNamedCode = true;
    this.#hasSpoken = true;
    const language = this.#language() ?? "en";
    return [VOCABULARY[language].code];
  }

  /** Takes the first part of the text and returns it as it is spoken. */
  #cut(length: number): string[] {
    const part = this.#raw.slice(0, length);
    const isLineStart = this.#isLineStart;
    this.#raw = this.#raw.slice(length);
    if (part.trim() === "") return [];
    this.#isLineStart = part.endsWith("\n");
    if (isLineStart) {
      this.#isInList = isListItem(part) || (this.#isInList && /^\s/.test(part));
      this.#isAfterBlank = false;
    }
    this.#spoken = (this.#spoken + part).slice(-TELLING_LENGTH);
    const pieces = this.#piecesOf(part, isLineStart);
    this.#hasSpoken ||= pieces.length > 0;
    return pieces;
  }

  #piecesOf(part: string, isLineStart: boolean): string[] {
    const language = this.#language();
    const words = language === null ? undefined : VOCABULARY[language];
    return withoutMarkup(part, isLineStart, words)
      .split("\n")
      .map((line) => (language === null ? line.trim() : readAloud(line, language)))
      .flatMap(cutLong)
      .filter((piece) => /[\p{L}\p{N}]/u.test(piece));
  }

  #language(): SpokenLanguage | null {
    return languageOf(this.#spoken, this.#chosenLanguage, this.#assumedLanguage);
  }
}

/** The length of a sentence that ended before the last word, which a name could have followed. */
function endBeforeLastWord(text: string): number | undefined {
  const [, sentence = "", gap = "", word = ""] = /^(.*\S)(\s+)(\S+)$/s.exec(text) ?? [];
  if (sentenceEnd(sentence) !== "unclear" || !isBeforeName(sentence)) return undefined;
  const isEnd = endsBefore(sentence, word[0] ?? "") && isCommonWord(word);
  return isEnd && !isInsideConstruct(sentence) ? sentence.length + gap.length : undefined;
}
