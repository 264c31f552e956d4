import type { SpokenLanguage } from "./language.ts";
import { inWords, numberPattern, parseNumber, plainDigits, type WrittenNumber } from "./numbers.ts";
import type { Vocabulary } from "./vocabulary.ts";

type Sign = keyof Vocabulary["currencies"];

/** What begins a number: nothing that it could be a part of. */
const START = String.raw`(?<![\p{Script=Latin}\p{N}.,:/^×\-–])`;
const CODES: Readonly<Record<string, Sign>> = { USD: "$", EUR: "€", GBP: "£", JPY: "¥", INR: "₹" };
/** Said between the whole and the hundredths of an amount; other languages say a decimal number. */
const BEFORE_CENTS: Readonly<Partial<Record<SpokenLanguage, string>>> = {
  en: " ",
  de: " ",
  fr: " ",
  nl: " ",
  es: " con ",
  it: " e ",
  pt: " e ",
};
const SCALES: Readonly<Record<string, string>> = {
  k: "thousand",
  m: "million",
  bn: "billion",
  b: "billion",
};
const SCALE_WORDS =
  "hundred|thousand|million|billion|trillion|tausend|Millionen|Million|Milliarden|Milliarde|mil|millones|millón|millions|milliards|milliard|milioni|milione|miliardi|milhões|milhão|miljoen|miljard|Mio\\.|Mrd\\.";

/** Reads amounts of money: `$5`, `5 €`, `€5.50`, `$3 million`, `USD 20`. */
export function readMoney(text: string, language: SpokenLanguage, words: Vocabulary): string {
  const number = numberPattern(language);
  const sign = String.raw`(?:US|A|C|CA|AU)?[$€£¥￥₹]|(?:USD|EUR|GBP|JPY|INR)(?=[\s\u00A0]?\d)`;
  const scale = String.raw`(?:[ \u00A0]?(${SCALE_WORDS})(?!\p{L})|(k|m|bn|b)(?!\p{L}))?`;
  const leading = new RegExp(
    String.raw`(?<![\p{Script=Latin}\p{N}$])([-−])?(${sign})[ \u00A0]?(${number})(?:\s?[-–—]\s?(?:[$€£¥￥₹])?(${number}))?${scale}(?![\p{N}])`,
    "giu",
  );
  const trailing = new RegExp(
    String.raw`${START}([-−])?(${number})(?:\s?[-–—]\s?(${number}))?${scale}[ \u00A0]?([$€£¥￥₹]|(?:USD|EUR|GBP|JPY|INR)(?!\p{L}))`,
    "gu",
  );
  const say = (
    minus: string | undefined,
    first: string,
    last: string | undefined,
    scaled: string | undefined,
    mark: string,
  ) => {
    const name = words.currencies[signOf(mark)];
    const before = minus ? `${words.minus} ` : "";
    const one = amount(parseNumber(first, language), name, scaled, language);
    if (last === undefined) return before + one;
    const end = amount(parseNumber(last, language), name, scaled, language);
    return `${before}${inWords(parseNumber(first, language), language)} ${words.to} ${end}`;
  };
  return text
    .replace(leading, (_all, minus, mark: string, first: string, last, word, letter) =>
      say(minus, first, last, word ?? SCALES[String(letter ?? "").toLowerCase()], mark),
    )
    .replace(trailing, (_all, minus, first: string, last, word, letter, mark: string) =>
      say(minus, first, last, word ?? SCALES[String(letter ?? "").toLowerCase()], mark),
    );
}

function signOf(mark: string): Sign {
  const code = CODES[mark.toUpperCase()];
  if (code) return code;
  const sign = mark.at(-1) ?? "$";
  return sign === "￥" ? "¥" : (sign as Sign);
}

function amount(
  number: WrittenNumber,
  [one, many]: readonly [string, string],
  scale: string | undefined,
  language: SpokenLanguage,
): string {
  const space = language === "ja" || language === "zh" ? "" : " ";
  const { whole, fraction } = number;
  if (scale !== undefined) {
    const of = language === "es" || language === "pt" || language === "fr" || language === "it";
    const isRound = /^mil{1,2}[iõ]/i.test(scale);
    const joint =
      of && isRound ? (language === "it" ? " di " : language === "fr" ? " de " : " de ") : " ";
    return `${plainDigits(number, language)} ${scale}${joint}${many}`;
  }
  const cents = BEFORE_CENTS[language];
  if (/^0*$/.test(fraction) || (fraction.length === 2 && cents !== undefined && whole !== "0")) {
    const rest = /^0*$/.test(fraction)
      ? ""
      : `${cents ?? ""}${inWords({ negative: false, whole: fraction.replace(/^0/, ""), fraction: "" }, language)}`;
    const isOne = whole === "1";
    const name = isOne ? one : many;
    return `${inWords({ ...number, fraction: "" }, language)}${space}${name}${rest}`;
  }
  return `${plainDigits(number, language)}${space}${many}`;
}

/** Units by their signs, as `Intl.NumberFormat` names them. */
const UNITS: Readonly<Record<string, string>> = {
  "°C": "celsius",
  "℃": "celsius",
  "°F": "fahrenheit",
  "℉": "fahrenheit",
  "°": "degree",
  "%": "percent",
  "٪": "percent",
  "km/h": "kilometer-per-hour",
  kmh: "kilometer-per-hour",
  mph: "mile-per-hour",
  "m/s": "meter-per-second",
  km: "kilometer",
  m: "meter",
  cm: "centimeter",
  mm: "millimeter",
  kg: "kilogram",
  g: "gram",
  lb: "pound",
  lbs: "pound",
  oz: "ounce",
  ft: "foot",
  ml: "milliliter",
  mL: "milliliter",
  l: "liter",
  L: "liter",
  ha: "hectare",
  ms: "millisecond",
  min: "minute",
  h: "hour",
  s: "second",
  kB: "kilobyte",
  KB: "kilobyte",
  MB: "megabyte",
  GB: "gigabyte",
  TB: "terabyte",
  "Mbit/s": "megabit-per-second",
  Mbps: "megabit-per-second",
  "Gbit/s": "gigabit-per-second",
  "MB/s": "megabyte-per-second",
};
/** Units that are letters or words too are only read straight after a number with a space or none. */
const UNIT_SIGNS = Object.keys(UNITS)
  .sort((a, b) => b.length - a.length)
  .map((sign) => sign.replace(/[/.]/g, "\\$&"))
  .join("|");

/** Reads numbers with units, and ranges: `10–12 °C`, `5 km/h`, `50 %`. */
export function readUnits(text: string, language: SpokenLanguage, words: Vocabulary): string {
  const number = numberPattern(language);
  const pattern = new RegExp(
    String.raw`${START}([-−+])?(${number})(?:\s?(?:[-–—~〜～]|\.{2,3})\s?([-−])?(${number}))?[ \u00A0\u202F]?(${UNIT_SIGNS})(²|³)?(?![\p{Script=Latin}\p{N}²³])`,
    "gu",
  );
  return text.replace(pattern, (all, sign, first: string, sign2, last, unit: string, power) => {
    if (power !== undefined) return all;
    const say = (written: string, mark: string | undefined) =>
      (mark === "-" || mark === "−" ? `${words.minus} ` : "") +
      inWords(parseNumber(written, language), language);
    const spoken =
      last === undefined ? say(first, sign) : `${say(first, sign)} ${words.to} ${say(last, sign2)}`;
    return withUnit(spoken, parseNumber(last ?? first, language), unit, language, words);
  });
}

function withUnit(
  spoken: string,
  number: WrittenNumber,
  sign: string,
  language: SpokenLanguage,
  words: Vocabulary,
): string {
  const unit = UNITS[sign] ?? "";
  if (unit === "percent" && language === "zh") return `百分之${spoken}`;
  if (unit === "percent" && language === "ar") return `${spoken} بالمئة`;
  const value = Number(`${number.whole}.${number.fraction || "0"}`);
  const format = new Intl.NumberFormat(words.locale, { style: "unit", unit, unitDisplay: "long" });
  let isSaid = false;
  const parts = format.formatToParts(value).map(({ type, value: part }) => {
    if (type === "unit" || type === "literal" || type === "percentSign") return part;
    if (isSaid) return "";
    isSaid = true;
    return spoken;
  });
  // Arabic has forms without a number, such as "two kilometres".
  const said = (isSaid ? parts.join("") : `${spoken} ${parts.join("")}`).replace(/\s/g, " ");
  return language === "ja" || language === "zh" ? said.replaceAll(" ", "") : said;
}

/** Reads what else stands between two numbers: `pages 10–12`. */
export function readRanges(text: string, language: SpokenLanguage, words: Vocabulary): string {
  const number = numberPattern(language);
  const pattern = new RegExp(
    String.raw`${START}(${number})(\s?[–—〜～]\s?|-)(${number})(?![\p{Script=Latin}\p{N}.,:/–-]?[\p{L}\p{N}]|[–-])`,
    "gu",
  );
  return text.replace(pattern, (all, first: string, dash: string, last: string) => {
    const from = parseNumber(first, language);
    const until = parseNumber(last, language);
    const isAscending = Number(from.whole) < Number(until.whole);
    const isWide = /\s/.test(dash) && !/\s$/.test(dash);
    if (!isAscending || isWide || (dash === "-" && until.whole.length > 4)) return all;
    const isYears = from.whole.length === 4 && until.whole.length === 4;
    const say = (value: WrittenNumber) =>
      isYears ? plainDigits(value, language) : inWords(value, language);
    return `${say(from)} ${words.to} ${say(until)}`;
  });
}

/** Reads what is left of numbers that a voice could mistake: grouped and negative ones. */
export function readNumbers(text: string, language: SpokenLanguage, words: Vocabulary): string {
  const grouped = new RegExp(
    String.raw`(?<![\p{Script=Latin}\p{N}.,:/–-])([-−]?)(${numberPattern(language)})(?![\p{Script=Latin}\p{N}]|[.,:/-]\d)`,
    "gu",
  );
  return text.replace(grouped, (all, minus: string, written: string) => {
    const number = parseNumber(written, language);
    const isGrouped = written.length > number.whole.length + (number.fraction.length || -1) + 1;
    if (!isGrouped && minus === "") return all;
    const said = isGrouped ? inWords(number, language) : plainDigits(number, language);
    return minus === "" ? said : `${words.minus} ${said}`;
  });
}
