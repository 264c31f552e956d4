/** The choice that leaves it to the recogniser to find out which language is spoken. */
export const AUTOMATIC = "auto";

/** Languages in which numbers are read aloud as words, and whose unfinished sentences are known. */
export const FULLY_SUPPORTED: readonly string[] = "en de es fr it pt nl ja zh hi ar".split(" ");

/** The other languages that Whisper recognises, the best known recogniser, as ISO 639 codes. */
const OTHERS =
  "af am as az ba be bg bn bo br bs ca cs cy da el et eu fa fi fo gl gu ha haw he hr ht hu hy id " +
  "is jv ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne nn no oc pa pl ps " +
  "ro ru sa sd si sk sl sn so sq sr su sv sw ta te tg th tk tl tr tt uk ur uz vi yi yo yue";

/** The languages that Parley offers, as BCP 47 tags: first those that it supports fully. */
export const LANGUAGES: readonly string[] = [...FULLY_SUPPORTED, ...OTHERS.split(" ")];

/** Whisper's codes for languages that BCP 47 writes differently. */
const RECOGNISER_CODES: ReadonlyMap<string, string> = new Map([
  ["cmn", "zh"],
  ["fil", "tl"],
  ["jv", "jw"],
  ["nb", "no"],
]);

/** Whisper's names for languages that English names differently today. */
const RECOGNISER_NAMES: ReadonlyMap<string, string> = new Map([
  ["bengali", "bn"],
  ["maori", "mi"],
  ["myanmar", "my"],
  ["nynorsk", "nn"],
]);

/** The longest tag that is accepted; RFC 5646 asks for no less than 35 characters (4.4.1). */
const MAX_TAG_LENGTH = 35;

/**
 * The BCP 47 tag in its canonical form (`de-de` becomes `de-DE`), or undefined if it is none, or if
 * its language has no name.
 */
export function canonicalTag(value: string): string | undefined {
  if (value.length > MAX_TAG_LENGTH || !/^[a-z]{2,3}(-|$)/i.test(value)) return undefined;
  const [tag] = orUndefined(() => Intl.getCanonicalLocales(value)) ?? [];
  return tag !== undefined && nameIn("en", primarySubtag(tag)) !== undefined ? tag : undefined;
}

/** Intl throws a RangeError for what is no tag. */
function orUndefined<T>(ask: () => T): T | undefined {
  try {
    return ask();
  } catch {
    return undefined;
  }
}

function primarySubtag(tag: string): string {
  return tag.split("-", 1)[0] ?? tag;
}

function nameIn(language: string, tag: string): string | undefined {
  const options = { type: "language", fallback: "none" } as const;
  return orUndefined(() => new Intl.DisplayNames([language], options).of(tag));
}

/** The name of a language in English, `German` or `Austrian German`; a tag without one as it is. */
export function languageName(tag: string): string {
  return nameIn("en", tag) ?? tag;
}

/** The name of a language as its speakers write it in a list: `Deutsch`, `Español`, `日本語`. */
export function ownLanguageName(tag: string): string {
  const name = nameIn(tag, tag) ?? languageName(tag);
  const [first = ""] = name;
  return first.toLocaleUpperCase(tag) + name.slice(first.length);
}

/** The code by which recognisers know the language of a tag: `de` for `de-AT`, `no` for `nb`. */
export function recogniserCode(tag: string): string {
  const language = primarySubtag(tag);
  return RECOGNISER_CODES.get(language) ?? language;
}

/**
 * The language that a recogniser says it has heard, as a tag. OpenAI and faster-whisper answer a
 * code (`de`), Whisper's `verbose_json` an English name (`german`). Undefined for anything else.
 */
export function detectedLanguage(reported: string | null | undefined): string | undefined {
  const value = reported?.trim().toLowerCase() ?? "";
  if (value === "") return undefined;
  const named = () => LANGUAGES.find((tag) => languageName(tag).toLowerCase() === value);
  return canonicalTag(value) ?? RECOGNISER_NAMES.get(value) ?? named();
}

/** Whether two tags name the same language, whatever the region. */
export function sameLanguage(one: string, other: string): boolean {
  return recogniserCode(one) === recogniserCode(other);
}
