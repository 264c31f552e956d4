/** A construct that stays open for longer, in characters, was none. */
const LONGEST = {
  code: 300,
  link: 400,
  tag: 300,
  math: 600,
  dollars: 80,
  comment: 4000,
} as const;

/**
 * Whether a text ends inside something that is read as a whole: inline code, a link, an HTML tag or
 * comment, a formula, a citation. A sentence is not cut there.
 */
export function isInsideConstruct(text: string): boolean {
  return (
    opens(text, "<!--", "-->", LONGEST.comment) ||
    opensCode(text) ||
    opens(text, "\\(", "\\)", LONGEST.math) ||
    opens(text, "\\[", "\\]", LONGEST.math) ||
    opens(text, "$$", "$$", LONGEST.math) ||
    opens(text, "【", "】", LONGEST.dollars) ||
    opensDollars(text) ||
    opensTag(text) ||
    opensLink(text)
  );
}

function opens(text: string, start: string, end: string, longest: number): boolean {
  let from = 0;
  for (;;) {
    const opened = text.indexOf(start, from);
    if (opened < 0) return false;
    const closed = text.indexOf(end, opened + start.length);
    if (closed < 0) return text.length - opened <= longest;
    from = closed + end.length;
  }
}

function opensCode(text: string): boolean {
  const ticks = [...text.matchAll(/`+/g)];
  const last = ticks.at(-1);
  if (!last || ticks.length % 2 === 0) return false;
  return text.length - last.index <= LONGEST.code;
}

/** A formula between single dollar signs; a sign before a digit is a price. */
function opensDollars(text: string): boolean {
  const rest = text
    .replace(/\$\$[\s\S]*?\$\$/g, "")
    .replace(/(?<![\\$])\$(?![\s\d$])[^$\n]*\S\$(?!\d)/g, "");
  const opened = /(?<![\\$\p{L}\d])\$(?=[\p{L}\\({])[^$\n]*$/u.exec(rest);
  return opened !== null && opened[0].length <= LONGEST.dollars;
}

function opensTag(text: string): boolean {
  const opened = /<\/?[a-z][^<>]*$/i.exec(text);
  return opened !== null && opened[0].length <= LONGEST.tag;
}

function opensLink(text: string): boolean {
  const opened = /\[(?:[^\][]|\[[^\]]*\])*(?:\]\([^\s)]*(?:\s+"[^"]*"?)?)?$/.exec(text);
  return opened !== null && !opened[0].endsWith("]") && opened[0].length <= LONGEST.link;
}
