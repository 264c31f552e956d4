import { toOrdinal as germanOrdinal } from "n2words/de-DE";
import { toCardinal } from "n2words/en-US";
import type { SpokenLanguage } from "./language.ts";
import type { Vocabulary } from "./vocabulary.ts";

const ISO_DATE =
  /(?<![\p{Script=Latin}\p{N}.-])(\d{4})-(\d{2})-(\d{2})(?:T(\d{2}:\d{2})(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?(?![\p{N}-])/gu;
const POINT_DATE = /(?<![\p{Script=Latin}\p{N}.])(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})(?![\p{N}])/gu;
const SLASH_DATE = /(?<![\p{Script=Latin}\p{N}/])(\d{1,2})\/(\d{1,2})\/(\d{4})(?![\p{N}/])/gu;
const TIME_RANGE = /(?<![\p{N}:])(\d{1,2}:\d{2})\s?[-–—]\s?(\d{1,2}:\d{2})(?![\p{N}:])/gu;
const TIME = /(?<![\p{N}:.])(\d{1,2}):(\d{2})(?![\p{N}:])/gu;

/** Reads dates in digits: ISO 8601, `24.12.2026`, and `12/24/2026` in the order of the language. */
export function readDates(text: string, language: SpokenLanguage, words: Vocabulary): string {
  const say = (all: string, year: string, month: string, day: string) => {
    const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)));
    const isReal = date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(day);
    if (!isReal) return all;
    const options = { dateStyle: "long", timeZone: "UTC" } as const;
    return new Intl.DateTimeFormat(words.locale, options).format(date);
  };
  const slashed = (all: string, first: string, second: string, year: string) => {
    const isMonthFirst = language === "en" ? Number(first) <= 12 : Number(second) > 12;
    return isMonthFirst ? say(all, year, first, second) : say(all, year, second, first);
  };
  return text
    .replace(ISO_DATE, (all, year: string, month: string, day: string, time?: string) => {
      const date = say(all, year, month, day);
      return time === undefined || date === all ? date : `${date}, ${time}`;
    })
    .replace(POINT_DATE, (all, day: string, month: string, year: string) =>
      say(all, year, month, day),
    )
    .replace(SLASH_DATE, slashed);
}

type SayTime = (hour: number, minute: number) => string;

/** How the time of day is said. English is missing: voices read `14:30` as people do. */
const TIMES: Readonly<Partial<Record<SpokenLanguage, SayTime>>> = {
  de: (hour, minute) => (minute === 0 ? `${hour} Uhr` : `${hour} Uhr ${minute}`),
  fr: (hour, minute) => `${hour} heure${hour < 2 ? "" : "s"}${minute === 0 ? "" : ` ${minute}`}`,
  es: (hour, minute) => (minute === 0 ? `${hour} en punto` : `${hour} y ${minute}`),
  it: (hour, minute) => (minute === 0 ? `${hour} in punto` : `${hour} e ${minute}`),
  pt: (hour, minute) => (minute === 0 ? `${hour} horas` : `${hour} e ${minute}`),
  nl: (hour, minute) => (minute === 0 ? `${hour} uur` : `${hour} uur ${minute}`),
  ja: (hour, minute) => (minute === 0 ? `${hour}時` : `${hour}時${minute}分`),
  zh: (hour, minute) => (minute === 0 ? `${hour}点` : `${hour}点${minute}分`),
  hi: (hour, minute) => (minute === 0 ? `${hour} बजे` : `${hour} बजकर ${minute} मिनट`),
  ar: (hour, minute) => (minute === 0 ? `${hour}` : `${hour} و${minute} دقيقة`),
};

const AFTER_TIME: Readonly<Partial<Record<SpokenLanguage, RegExp>>> = {
  es: /(?<=\d{1,2}:\d{2})\s?h(?:s|oras)?\b\.?/gu,
  pt: /(?<=\d{1,2}:\d{2})\s?h(?:oras)?\b/gu,
  nl: /(?<=\d{1,2}:\d{2})\s?(?:uur|u\.)(?!\p{L})/gu,
  hi: /(?<=\d{1,2}:\d{2})\s?बजे/gu,
};

/** Reads times of the day, and ranges of them. */
export function readTimes(text: string, language: SpokenLanguage, words: Vocabulary): string {
  const time = TIMES[language];
  const say = (all: string, hour: string, minute: string) =>
    time && Number(hour) <= 24 && Number(minute) < 60 ? time(Number(hour), Number(minute)) : all;
  let said = text.replace(TIME_RANGE, `$1 ${words.to} $2`);
  if (language === "fr") {
    said = said.replace(
      /(?<![\p{Script=Latin}\p{N}])(\d{1,2}) ?h ?(\d{2})?(?![\p{Script=Latin}\p{N}])/gu,
      (all, h, m) => say(all, String(h), String(m ?? "0")),
    );
  }
  if (language === "de") {
    said = said.replace(/(?<![\p{N}.])(\d{1,2})[.:](\d{2})\s?Uhr\b/gu, say);
  }
  // Some languages write a word for the hour behind, which is said within.
  const hours = AFTER_TIME[language];
  if (hours) said = said.replace(hours, "");
  return said.replace(TIME, say);
}

const BEFORE_YEAR =
  /\b((?:in|since|until|till|by|during|before|after|around|early|late|mid|year|of|(?:January|February|March|April|May|June|July|August|September|October|November|December)(?: \d{1,2}(?:st|nd|rd|th)?)?,?) )(1[1-9]\d\d|20[1-9]\d)(?![\p{Script=Latin}\p{N}%°.,:/-]?\p{N}|\p{L}|%|,\d)/giu;

/** Reads English years as people do: "nineteen ninety-nine". */
export function readYears(text: string): string {
  return text.replace(BEFORE_YEAR, (_all, before: string, year: string) => {
    const [century, rest] = [Number(year.slice(0, 2)), Number(year.slice(2))];
    const last = rest === 0 ? "hundred" : rest < 10 ? `oh ${toCardinal(rest)}` : toCardinal(rest);
    return `${before}${toCardinal(century)} ${last}`;
  });
}

const MONTH = "Januar|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember";
const BEFORE_ORDINAL =
  "am|dem|den|des|vom|zum|zur|im|bis|ab|seit|bis zum|einem|jedem|jeden|der|die|das";
const ORDINAL = new RegExp(
  String.raw`(?<![\p{Script=Latin}\p{N}])(?:(${BEFORE_ORDINAL})( ))?(\d{1,3})\.(?= (?:${MONTH})(?!\p{L}))|(?<![\p{Script=Latin}\p{N}])(${BEFORE_ORDINAL})( )(\d{1,3})\.(?= \p{Lu})`,
  "giu",
);

/** Reads German ordinals, which are a number with a full stop: "am dritten Mai". */
export function readGermanOrdinals(text: string): string {
  return text.replace(ORDINAL, (_all, ...groups: (string | undefined)[]) => {
    const article = groups[0] ?? groups[3];
    const ordinal = germanOrdinal(Number(groups[2] ?? groups[5]));
    if (article === undefined) return `${ordinal}r`;
    return `${article} ${ordinal}${/^(?:der|die|das)$/i.test(article) ? "" : "n"}`;
  });
}
