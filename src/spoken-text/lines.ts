/** A line that opens a block of code, or text before one. */
const FENCE_OPENS = /^(.*?)(`{3,}|~{3,})[^`~\n]*$/;
const LIST_ITEM = /^\s*(?:>\s*)*(?:[-+*•‣◦▪●]|\d{1,3}[.)])\s/u;
/** Headings, list items, quotes, rows of a table: they end with the line. */
const OWN_LINE = /^\s*(?:>|\||#{1,6}\s|(?:[-+*•‣◦▪●–—]|\d{1,3}[.)])\s)/u;
const RULE = /^\s*(?:[-*_=]\s*){3,}$/;
/** What prose hardly ever holds and code nearly always does. */
const LOOKS_LIKE_CODE =
  /[{}[\];=<>|$]|\)\s*$|^\s*(?:#|\/\/|import|def|return|from|npm|git|cd|sudo|pip)\b/m;

/** A fence that opens in the last line of a text: what stands before it, and its mark. */
export function openedFence(text: string): { before: string; mark: string } | undefined {
  const start = text.lastIndexOf("\n") + 1;
  const found = FENCE_OPENS.exec(text.slice(start));
  if (!found) return undefined;
  const [, before = "", mark = ""] = found;
  return { before: text.slice(0, start) + before, mark };
}

/** Whether a line closes a block that a mark opened. */
export function closesFence(line: string, mark: string): boolean {
  const closing = line.trim().replace(/^(?:>\s*)+/, "");
  return closing.length >= mark.length && closing === (mark[0] ?? "`").repeat(closing.length);
}

/** Whether the line is indented as code is, and reads like it. */
export function isIndentedCode(line: string): boolean {
  return /^(?: {4}|\t)/.test(line) && LOOKS_LIKE_CODE.test(line);
}

/** Whether the line, as far as it is there, can only be understood when it is complete. */
export function isReadAsWhole(line: string): boolean {
  return /^\s*(?:>\s*)*(?:\||`{3}|~{3})/.test(line) || /\s\|\s/.test(line);
}

/** Whether a text that begins a line ends with it, and no sentence goes on in the next line. */
export function endsWithLine(text: string): boolean {
  return OWN_LINE.test(text) || RULE.test(text) || /\s\|\s/.test(text);
}

export function isListItem(line: string): boolean {
  return LIST_ITEM.test(line);
}
