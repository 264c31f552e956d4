import { describe, expect, test } from "bun:test";
import type { SpokenLanguage } from "./language.ts";
import { readAloud } from "./reading.ts";

const CASES: Partial<Record<SpokenLanguage, [written: string, said: string][]>> = {
  en: [
    ["It is 10–12 °C.", "It is ten to twelve degrees Celsius."],
    ["It is -5 °C.", "It is minus five degrees Celsius."],
    ["It is 12.5°F.", "It is 12.5 degrees Fahrenheit."],
    ["See #5.", "See number 5."],
    ["I have 3 cats.", "I have 3 cats."],
    [
      "1,234,567 people",
      "one million two hundred thirty-four thousand five hundred sixty-seven people",
    ],
    ["It is -7 or 3.14.", "It is minus 7 or 3.14."],
    ["About 50% or 12.5 %.", "About fifty percent or 12.5 percent."],
    [
      "5 km/h, 3 m/s, 1 kg, 16GB",
      "five kilometers per hour, three meters per second, one kilogram, sixteen gigabytes",
    ],
    ["It costs $5.", "It costs five dollars."],
    ["It costs $1.50 or €3.05.", "It costs one dollar fifty or three euros five."],
    ["$1,200.00 and $0.99", "one thousand two hundred dollars and 0.99 dollars"],
    ["$3 million, $5M, £10k", "3 million dollars, 5 million dollars, 10 thousand pounds"],
    ["$5–10 or $5-$10", "five to ten dollars or five to ten dollars"],
    ["20 USD, EUR 5, ¥100, ₹50", "twenty dollars, five euros, one hundred yen, fifty rupees"],
    ["pages 10-12 and 3–4", "pages ten to twelve and three to four"],
    ["They won 2-1.", "They won 2-1."],
    ["COVID-19, B-52, 7-year-old", "COVID-19, B-52, 7-year-old"],
    ["On 2026-12-24 we met.", "On December 24, twenty twenty-six we met."],
    ["On 12/24/2026 we met.", "On December 24, twenty twenty-six we met."],
    ["On 24/12/2026 we met.", "On December 24, twenty twenty-six we met."],
    ["On 2026-13-45 we met.", "On 2026-13-45 we met."],
    ["At 2024-12-25T14:30:00Z.", "At December 25, twenty twenty-four, 14:30."],
    ["At 14:30 or 3 pm.", "At 14:30 or 3 pm."],
    ["9:00–17:00", "9:00 to 17:00"],
    ["In 1999, in 1905 and in 2000.", "In nineteen ninety-nine, in nineteen oh five and in 2000."],
    ["1914–1918", "1914 to 1918"],
    ["Call +1 555 123 4567.", "Call plus 1, 5 5 5, 1 2 3, 4 5 6 7."],
    ["Call 555-123-4567.", "Call 5 5 5, 1 2 3, 4 5 6 7."],
    ["Take v1.2.3 or 192.168.0.1.", "Take 1 dot 2 dot 3 or 192 dot 168 dot 0 dot 1."],
    ["Fruit, e.g. figs, i.e. these, etc.", "Fruit, for example figs, that is these, et cetera."],
    ["Dr. Ada vs. Prof. Bo", "Doctor Ada versus Professor Bo"],
    ["Bed & breakfast, AT&T", "Bed and breakfast, AT&T"],
    ["2 + 2 = 4", "2 plus 2 equals 4"],
    ["~5 people, 3 × 4", "about 5 people, 3 times 4"],
    ["Ask @ada.", "Ask at ada."],
    ["2½ cups or ½ cup", "2 and one half cups or one half cup"],
    ["Chapter IV, World War II, I am", "Chapter 4, World War 2, I am"],
    ["the 1st, 2nd and 21st", "the 1st, 2nd and 21st"],
  ],
  de: [
    ["Es sind 10–12 °C.", "Es sind zehn bis zwölf Grad Celsius."],
    [
      "Das kostet 1.234,56 €.",
      "Das kostet eintausendzweihundertvierunddreißig Euro sechsundfünfzig.",
    ],
    ["Das kostet 5 € oder 0,99 €.", "Das kostet fünf Euro oder 0,99 Euro."],
    ["Am 3. Mai und am 24.12.2026.", "Am dritten Mai und am vierundzwanzigsten Dezember 2026."],
    ["Heute ist der 3. Oktober.", "Heute ist der dritte Oktober."],
    ["Die 2. Klasse kostet 2.", "Die zweite Klasse kostet 2."],
    ["Um 14:30 Uhr, 9.15 Uhr und 8:00.", "Um 14 Uhr 30, 9 Uhr 15 und 8 Uhr."],
    ["Von 9:00–17:30 Uhr", "Von 9 Uhr bis 17 Uhr 30"],
    [
      "z. B. hier, d.h. dort, bzw. da, usw.",
      "zum Beispiel hier, das heißt dort, beziehungsweise da, und so weiter.",
    ],
    ["100 km/h, 3,5 GB, 50 %", "einhundert Kilometer pro Stunde, 3,5 Gigabyte, fünfzig Prozent"],
    ["1 km, 21 km", "1 Kilometer, 21 Kilometer"],
    ["Nr. 5, #5, 10.000 Leute", "Nummer 5, Nummer 5, zehntausend Leute"],
    ["3 Mio. Euro, 5 Mrd. €", "3 Millionen Euro, 5 Milliarden Euro"],
    ["Max & Moritz, 2 + 2 = 4", "Max und Moritz, 2 plus 2 gleich 4"],
    ["Ruf 030 1234567 an.", "Ruf 0 3 0, 1 2 3 4 5 6 7 an."],
    [
      "Tel. 0171 2345678, +49 (0)30 123456",
      "Tel. 0 1 7 1, 2 3 4 5 6 7 8, plus 4 9, 0, 3 0, 1 2 3 4 5 6",
    ],
    ["1.087.863 Leute", "eine Million siebenundachtzigtausendachthundertdreiundsechzig Leute"],
    ["Version 1.2.3", "Version 1 Punkt 2 Punkt 3"],
  ],
  es: [
    ["Hace 10–12 °C.", "Hace diez a doce grados Celsius."],
    ["Cuesta 5,50 € o $20.", "Cuesta cinco euros con cincuenta o veinte dólares."],
    ["El 24/12/2026 a las 14:30.", "El 24 de diciembre de 2026 a las 14 y 30."],
    ["Son las 14:30 h en EE. UU. hoy.", "Son las 14 y 30 en Estados Unidos hoy."],
    ["1.500 personas, 21 km", "1500 personas, 21 kilómetros"],
    ["El Sr. Gil, p. ej., etc.", "El señor Gil, por ejemplo, etcétera."],
    ["el siglo XIX", "el siglo 19"],
  ],
  fr: [
    ["Il fait 10–12 °C.", "Il fait dix à douze degrés Celsius."],
    ["Cela coûte 1 234,50 €.", "Cela coûte mille deux cent trente-quatre euros cinquante."],
    ["Le 24/12/2026 à 14h30 ou 9 h.", "Le 24 décembre 2026 à 14 heures 30 ou 9 heures."],
    ["Le 1er mai, p. ex., Mme Roy", "Le premier mai, par exemple, Madame Roy"],
    ["n° 5 et #5", "numéro 5 et numéro 5"],
  ],
  it: [
    ["Ci sono 10–12 °C.", "Ci sono dieci a dodici gradi Celsius."],
    ["Costa 5,50 €, ecc.", "Costa cinque euro e cinquanta, eccetera."],
  ],
  pt: [["Custa R$ 5 ou 10 €, às 14:30.", "Custa R$ 5 ou dez euros, às 14 e 30."]],
  nl: [
    [
      "Het is 10–12 °C om 14:30, bijv. nu.",
      "Het is tien tot twaalf graden Celsius om 14 uur 30, bijvoorbeeld nu.",
    ],
  ],
  ja: [
    ["気温は10–12 °Cです。", "気温は摂氏10から12度です。"],
    ["2026-12-24の14:30です。", "2026年12月24日の14時30分です。"],
    ["1,200円、¥500、50%", "1200円、500円、50パーセント"],
    ["時速5 km/hで、重さは3kgです。", "時速5キロメートルで、重さは3キログラムです。"],
  ],
  zh: [["气温10–12 °C，50%，$5。", "气温10到12摄氏度，百分之50，5美元。"]],
  hi: [
    ["तापमान 10–12 °C है।", "तापमान 10 से 12 डिग्री सेल्सियस है।"],
    ["कीमत ₹500 है, १०–१२ %।", "कीमत 500 रुपये है, 10 से 12 प्रतिशत।"],
    ["समय 14:30 बजे है।", "समय 14 बजकर 30 मिनट है।"],
    ["समय 14:30 है।", "समय 14 बजकर 30 मिनट है।"],
  ],
  ar: [
    ["الحرارة 10–12 °C اليوم.", "الحرارة 10 إلى 12 درجة مئوية اليوم."],
    ["السعر $5 و١٠٪.", "السعر 5 دولار و10 بالمئة."],
    ["في 2026-12-24", "في 24 ديسمبر 2026"],
  ],
};

describe.each(Object.entries(CASES))("in %s", (language, cases) => {
  test.each(cases)("%s", (written, said) => {
    expect(readAloud(written, language as SpokenLanguage)).toBe(said);
  });
});
