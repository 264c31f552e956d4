import { toCardinal as german } from "n2words/de-DE";
import { toCardinal as english } from "n2words/en-US";
import { toCardinal as spanish } from "n2words/es-ES";
import { toCardinal as french } from "n2words/fr-FR";
import { toCardinal as italian } from "n2words/it-IT";
import { toCardinal as dutch } from "n2words/nl-NL";
import { toCardinal as portuguese } from "n2words/pt-PT";
import type { SpokenLanguage } from "./language.ts";

/** A number as it was written, in its parts. */
export interface WrittenNumber {
  negative: boolean;
  /** The digits before the decimal mark, without grouping. */
  whole: string;
  /** The digits after it; "" if there are none. */
  fraction: string;
}

const DECIMAL_COMMA: ReadonlySet<SpokenLanguage> = new Set(["de", "es", "fr", "it", "pt", "nl"]);
/** Larger numbers are left to the voice. */
const MOST_DIGITS = 9;

/** A source for regular expressions: a number as a language writes it, grouped or not. */
export function numberPattern(language: SpokenLanguage): string {
  const spaces = language === "fr" ? "\\u00A0\\u202F " : "\\u00A0\\u202F";
  return DECIMAL_COMMA.has(language)
    ? `\\d{1,3}(?:[.${spaces}'’]\\d{3})+(?:,\\d+)?(?!\\d)|\\d+(?:[.,]\\d+)?`
    : `\\d{1,3}(?:[,${spaces}]\\d{3})+(?:\\.\\d+)?(?!\\d)|\\d{1,2}(?:,\\d{2})+,\\d{3}(?:\\.\\d+)?|\\d+(?:\\.\\d+)?`;
}

/** Reads what `numberPattern` found. */
export function parseNumber(text: string, language: SpokenLanguage): WrittenNumber {
  const digits = text.replace(/^[-−+]/, "");
  const mark = DECIMAL_COMMA.has(language) ? "," : ".";
  // Models also write a decimal point where the language has a comma: "3.5 GB".
  const isPoint = mark === "," && /^\d+\.(?:\d{1,2}|\d{4,})$/.test(digits);
  const [whole = "", fraction = ""] = digits.split(isPoint ? "." : mark);
  return { negative: /^[-−]/.test(text), whole: whole.replace(/\D/g, ""), fraction };
}

/**
 * A number in digits that no voice reads as several: without grouping, and with the decimal mark
 * of the language.
 */
export function plainDigits({ whole, fraction }: WrittenNumber, language: SpokenLanguage): string {
  const mark = DECIMAL_COMMA.has(language) ? "," : ".";
  return fraction === "" ? whole : `${whole}${mark}${fraction}`;
}

const CARDINALS: Readonly<Partial<Record<SpokenLanguage, (value: number) => string>>> = {
  en: english,
  de: german,
  es: spanish,
  fr: french,
  it: italian,
  pt: portuguese,
  nl: dutch,
};

/**
 * A whole number in words, where the words are the same before every noun; else in plain digits,
 * which a voice fits to what follows.
 */
export function inWords(number: WrittenNumber, language: SpokenLanguage): string {
  const cardinal = CARDINALS[language];
  const { whole, fraction } = number;
  if (!cardinal || fraction !== "" || whole.length > MOST_DIGITS || /^0\d/.test(whole)) {
    return plainDigits(number, language);
  }
  const value = Number(whole);
  return isSameForEveryNoun(value, language) ? cardinal(value) : plainDigits(number, language);
}

function isSameForEveryNoun(value: number, language: SpokenLanguage): boolean {
  if (language === "en") return true;
  const last = value % 100 === 11 || value % 100 === 12 ? 0 : value % 10;
  if (last === 1 || (last === 2 && language === "pt")) return false;
  // "doscientas casas", "duzentas casas"
  return value < 200 || (language !== "es" && language !== "pt");
}
