import { readAddresses } from "./addresses.ts";
import { withoutPictures } from "./emoji.ts";
import { readFormulas } from "./formulas.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** What begins a line and is not read: quotes, headings, bullets, boxes to tick. */
const LINE_START =
  /^[^\S\n]*(?:>[^\S\n]*)*(?:#{1,6}[^\S\n]+|(?:[-+*•‣◦▪●–—][^\S\n]+))?(?:\[[ xX]\][^\S\n]+)?/u;
/** Hashes that close a heading. */
const HEADING_END = /(?<=^\s*#{1,6}\s.*)\s#+\s*$/;
const LIST_NUMBER = /^(\s*(?:>\s*)*\d{1,3})[.)](?=\s)/;
/** Where a link of the form `[text][1]` leads, which stands on a line of its own. */
const LINK_TARGET = /^\s*\[[^\]^\n]+\]:\s*<?(?:https?:|www\.|\/|#)\S*.*$/;
/** Tags that separate what stands before from what stands after. */
const BREAK_TAG =
  /<\/?(?:br|hr|p|div|li|ul|ol|dt|dd|tr|table|h[1-6]|blockquote|section|summary)\b[^<>]*>/gi;
const CELL_TAG = /<\/(?:td|th)>(?!\s*(?:<\/tr|$))/gi;
const TAG = /<\/?[a-z][a-z\d-]*(?:\s+[^<>]*|\s*\/)?>/gi;
const UNREAD_ELEMENT = /<(script|style|svg|math|pre)\b[^>]*>[\s\S]*?<\/\1\s*>/gi;
const COMMENT = /<!--[\s\S]*?(?:-->|$)/g;
const AUTOLINK = /<((?:https?:\/\/|mailto:)[^\s<>]+|[^\s<>@]+@[^\s<>@]+\.[a-z]+)>/gi;
const IMAGE = /!\[([^\]]*)\](?:\([^()]*(?:\([^()]*\)[^()]*)*\)|\[[^\]]*\])/g;
const LINK =
  /\[((?:[^[\]]|\[[^[\]]*\])*)\](?:\([^()\s]*(?:\([^()\s]*\)[^()\s]*)*(?:\s+(?:"[^"]*"|'[^']*'))?\s*\)|\[[^\]]*\])/g;
const FOOTNOTE = /\[\^[^\]\s]+\]:?/g;
const CITATION = /【[^【】]*†[^【】]*】|(?<=[^\s\]])[^\S\n]?(?:\[\d{1,3}(?:[,–-]\s?\d{1,3})*\])+/gu;
const CODE = /(`+)([\s\S]*?[^`]|[^`])\1(?!`)/g;
/** Inline code that a person would say: a name, a command, a number. */
const SPEAKABLE_CODE = /^(?=.*[\p{L}\p{N}])[\p{L}\p{M}\p{N}][\p{L}\p{M}\p{N} _.,:@/#+'’-]{0,59}$/u;
const ESCAPE = /\\([\\`*_{}[\]()#+.!|~<>$-])/g;
/** Characters for private use stand for escaped marks until emphasis has been read. */
const PRIVATE = 0xe000;
const ENTITIES: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  nbsp: " ",
  ndash: "–",
  mdash: "—",
  hellip: "…",
  euro: "€",
  pound: "£",
  yen: "¥",
  deg: "°",
  times: "×",
  copy: "",
  reg: "",
  trade: "",
};

/**
 * Turns a part of a Markdown text, of one line or paragraph, into text without markup.
 *
 * @param isLineStart whether the part begins a line, where bullets and hashes are marks
 * @param words of the language of the text
 */
export function withoutMarkup(
  raw: string,
  isLineStart: boolean,
  words: Vocabulary | undefined,
): string {
  let text = raw
    .replace(COMMENT, "")
    .replace(UNREAD_ELEMENT, " ")
    .replace(/\s*\n\s*/g, " ");
  if (isLineStart) {
    text = text
      .replace(LINK_TARGET, "")
      .replace(HEADING_END, "")
      .replace(LINE_START, "")
      .replace(LIST_NUMBER, "$1:");
  }
  text = readFormulas(text, words)
    .replace(CODE, (_all, _ticks, code: string) => readCode(code.trim()))
    .replace(AUTOLINK, "$1")
    .replace(CELL_TAG, ", ")
    .replace(BREAK_TAG, "\n")
    .replace(TAG, "")
    .replace(IMAGE, "$1")
    .replace(FOOTNOTE, "")
    .replace(CITATION, "")
    .replace(LINK, "$1")
    .replace(ESCAPE, (_all, mark: string) => String.fromCharCode(PRIVATE + mark.charCodeAt(0)));
  text = withoutEmphasis(text)
    .replace(/[\uE000-\uE07F]/g, (mark) => String.fromCharCode(mark.charCodeAt(0) - PRIVATE))
    .replace(/&(#?\w{2,8});/g, entity);
  text = readAddresses(text, words);
  return tidy(withoutPictures(cellsAsList(text)));
}

function readCode(code: string): string {
  return SPEAKABLE_CODE.test(code) ? code : "";
}

function entity(all: string, name: string): string {
  const code = /^#(?:x([\da-f]{1,6})|(\d{1,7}))$/i.exec(name);
  if (code) {
    const point = code[1] ? Number.parseInt(code[1], 16) : Number(code[2]);
    return point > 31 && point <= 0x10ffff ? String.fromCodePoint(point) : "";
  }
  return ENTITIES[name] ?? all;
}

/** Drops the marks of bold, italic and struck text; a star that multiplies stays. */
function withoutEmphasis(text: string): string {
  return text
    .replace(/\*{2,}|~~+|(?<!\s)==|==(?!\s)/g, "")
    .replace(/~([\p{L}\p{N}]{1,3})~/gu, "$1")
    .replace(/(?<![A-Za-z\d*)])\*(?![\s*])([^*\n]*[^*\s])\*/g, "$1")
    .replace(/(?<![A-Za-z\d)\s])\*|\*(?![A-Za-z\d(\s])|(?<=\s)\*(?=\S)|(?<=\S)\*(?=\s)/g, "")
    .replace(/(?<![\p{L}\p{N}_])_{1,3}(?=[\p{L}\p{N}\p{P}])/gu, "")
    .replace(/(?<=[\p{L}\p{N}\p{P}])_{1,3}(?![\p{L}\p{N}_])/gu, "");
}

/** The cells of a row of a table, separated by commas. */
function cellsAsList(text: string): string {
  if (!/^\s*\|/.test(text) && !/\s\|\s/.test(text)) return text;
  return text
    .split("|")
    .map((cell) => cell.trim())
    .filter((cell) => /[\p{L}\p{N}]/u.test(cell))
    .join(", ");
}

/** Repeated marks and spaces become one, and what has no sound goes. */
function tidy(text: string): string {
  return text
    .replace(/[^\S\n]*[→⇒➜←↔►▶][^\S\n]*/gu, ", ")
    .replace(/([!?。！？])[!?。！？]+/gu, "$1")
    .replace(/\.{3,}|…+/g, "…")
    .replace(/([,;:、，])(?:\s*[,;、，])+/gu, "$1")
    .replace(/[-=_#~|]{3,}/g, " ")
    .replace(/\(\s*\)|\[\s*\]/g, "")
    .replace(/\s*\n\s*/g, "\n")
    .replace(/[^\S\n]+/g, " ")
    .replace(/ +([,.;!?])(?=\s|$)/g, "$1")
    .replace(/^[\s,;:.!?。！？、，…·|)\]}»”』」）-]+(?=\s|$|[\p{L}])/u, "")
    .trim();
}
