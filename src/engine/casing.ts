/** Text of a vocabulary in one case only, as people write it: `HOW ARE YOU` as `How are you`. */
export function sentenceCase(text: string): string {
  const lower = text.toLowerCase();
  return lower
    .replace(/(?<![\p{L}\p{N}'])i(?![\p{L}\p{N}])/gu, "I")
    .replace(/^[^\p{L}\p{N}]*\p{L}|(?<=[.!?]\s+)\p{L}/gu, (start) => start.toUpperCase());
}

/**
 * Whether a vocabulary lacks upper or lower case, so that what it writes needs both.
 *
 * @param tokens the lines of tokens.txt: a token and its number
 */
export function hasOneCase(tokens: string): boolean {
  let upper = false;
  let lower = false;
  for (const line of tokens.split("\n")) {
    const token = line.replace(/\s+\d+\s*$/, "");
    // Names of special tokens say nothing of the text.
    if (/^<.*>$|^#\d+$/.test(token)) continue;
    upper ||= /\p{Lu}/u.test(token);
    lower ||= /\p{Ll}/u.test(token);
  }
  return upper !== lower;
}
