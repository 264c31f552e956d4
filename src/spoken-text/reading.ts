import { readAbbreviations } from "./abbreviations.ts";
import { readDates, readGermanOrdinals, readTimes, readYears } from "./dates.ts";
import type { SpokenLanguage } from "./language.ts";
import { readMoney, readNumbers, readRanges, readUnits } from "./quantities.ts";
import { VOCABULARY, type Vocabulary } from "./vocabulary.ts";

const PHONE =
  /(?<![\p{Script=Latin}\p{N}.,])(?:\+\d{1,3}(?:[ \u00A0()./-]{1,2}\d{1,}){2,}|\+\d{9,15}|\(\d{2,5}\)[ -]?\d{3,}(?:[ -]\d+)*|0\d{1,4}[ /-]\d{3,}(?:[ -]\d+)*|\d{3}-\d{3}-\d{4})(?![\p{Script=Latin}\p{N}])/gu;
const VERSION =
  /(?<![\p{Script=Latin}\p{N}.])(v?)(\d{1,4}(?:\.\d{1,4}){2,})(?![\p{Script=Latin}\p{N}]|\.\d)/gu;
const ROMAN =
  /(?<!\p{L})(chapter|part|volume|act|war|kapitel|teil|band|akt|capítulo|tomo|siglo|chapitre|tome|capitolo|século|hoofdstuk|deel) ([IVX]{1,6})(?![\p{Script=Latin}\p{N}])/giu;

/**
 * Speaks out what is written in signs and figures. Plain whole numbers stay as they are: every
 * voice reads them, and fits them to the noun that follows.
 */
export function readAloud(text: string, language: SpokenLanguage): string {
  const words = VOCABULARY[language];
  let said = westernDigits(text);
  said = readDates(said, language, words);
  said = said.replace(PHONE, (number) => digitByDigit(number, words));
  said = readTimes(said, language, words);
  said = said.replace(VERSION, (all, _v, version: string) =>
    // German and others group digits by full stops.
    /^\d{1,3}(?:\.\d{3})+$/.test(version) ? all : version.replaceAll(".", ` ${words.dot} `),
  );
  said = readMoney(said, language, words);
  said = readUnits(said, language, words);
  said = readRanges(said, language, words);
  if (language === "de") said = readGermanOrdinals(said);
  if (language === "en") said = readYears(said);
  said = readFractions(said, words);
  said = said.replace(
    ROMAN,
    (_all, before: string, roman: string) => `${before} ${valueOfRoman(roman)}`,
  );
  said = said.replace(
    /(?<![\p{Script=Latin}\p{N}&#])#(\d+)(?![\p{Script=Latin}\p{N}])/gu,
    `${words.number} $1`,
  );
  said = readSigns(readNumbers(said, language, words), words);
  // Japanese names the unit of a speed before it, as the text may have done.
  said = said.replace(/(時速|秒速)(?=\1)/gu, "");
  return readAbbreviations(said, language).replace(/ {2,}/g, " ").trim();
}

/** Digits of Arabic, Persian and Devanagari as those that patterns know. */
function westernDigits(text: string): string {
  return text.replace(/[\u0660-\u0669\u06F0-\u06F9\u0966-\u096F]/g, (digit) => {
    const code = digit.charCodeAt(0);
    return String(code - (code >= 0x966 ? 0x966 : code >= 0x6f0 ? 0x6f0 : 0x660));
  });
}

function digitByDigit(number: string, words: Vocabulary): string {
  const groups = number.match(/\+|\d+/g) ?? [];
  return groups
    .map((group) => (group === "+" ? words.plus : [...group].join(" ")))
    .join(", ")
    .replace(`${words.plus}, `, `${words.plus} `);
}

function readFractions(text: string, words: Vocabulary): string {
  const names: Readonly<Record<string, string>> = {
    "½": words.half,
    "¼": words.quarter,
    "¾": words.threeQuarters,
  };
  return text.replace(/(\d)?\s?([½¼¾])/g, (_all, whole: string | undefined, sign: string) =>
    whole === undefined ? ` ${names[sign]}` : `${whole} ${words.and} ${names[sign]}`,
  );
}

function readSigns(text: string, words: Vocabulary): string {
  return text
    .replace(/(?<=\s)&(?=\s)/g, words.and)
    .replace(/(?<=[\p{L}\p{N})]\s)\+(?=\s[\p{L}\p{N}(])/gu, words.plus)
    .replace(/(?<=[\p{L}\p{N})]\s?)=(?=\s?[\p{L}\p{N}(−-])/gu, ` ${words.equals} `)
    .replace(/(?<=\d\s?)[×](?=\s?\d)/g, ` ${words.times} `)
    .replace(/(?<![\p{Script=Latin}\p{N}])[~≈]\s?(?=\d)/gu, `${words.about} `)
    .replace(/(?<![\p{Script=Latin}\p{N}.])@(?=\p{L})/gu, `${words.at} `)
    .replace(/(?<=[\p{L}\p{N})])\^[({]?(-?\d+)[)}]?\^?/gu, (_all, exponent: string) => {
      if (exponent === "2") return ` ${words.squared}`;
      return exponent === "3" ? ` ${words.cubed}` : ` ${words.power} ${exponent}`;
    })
    .replace(/ \/ /g, ", ");
}

function valueOfRoman(roman: string): number {
  const values: Readonly<Record<string, number>> = { I: 1, V: 5, X: 10 };
  const numbers = [...roman.toUpperCase()].map((letter) => values[letter] ?? 0);
  return numbers.reduce(
    (sum, value, at) => sum + (value < (numbers[at + 1] ?? 0) ? -value : value),
    0,
  );
}
