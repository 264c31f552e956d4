import { describe, expect, test } from "bun:test";
import { SpokenText } from "./spoken-text.ts";

/** No piece may be longer, in UTF-16 code units: voices refuse long inputs, and make people wait. */
const LONGEST = 300;

function pieces(chunks: readonly string[], language: string | null = null): string[] {
  const answer = new SpokenText(language);
  return [...chunks.flatMap((chunk) => answer.push(chunk)), ...answer.end()];
}

const lettersOf = (text: string) => text.match(/[\p{L}\p{M}\p{N}]/gu)?.join("") ?? "";

/** The same numbers between 0 and 1 in each run (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Sentences in which every letter and digit is spoken as it is written. */
const SENTENCES: Readonly<Record<string, string[]>> = {
  en: ["Hello there.", "It is late!", "Do you know why?", "Well, “yes.”", "She said so (twice)."],
  de: ["Guten Tag.", "Wie geht es Ihnen?", "Das ist schön!", "Er sagte: „Nein.“"],
  es: ["¿Cómo estás?", "¡Muy bien!", "Me llamo Ada."],
  fr: ["Bonjour à tous.", "Où est la gare ?", "C’est là !"],
  ja: ["今日は晴れです。", "本当ですか？", "「はい。」と言った。", "すごい！"],
  zh: ["今天天气很好。", "你好吗？", "我们走吧！"],
  hi: ["यह एक वाक्य है।", "आप कैसे हैं?", "बहुत अच्छा!"],
  ar: ["هذا كتاب جيد.", "كيف حالك؟", "أهلا وسهلا!"],
};
const MARKUP = [
  "\n\n",
  "\n",
  " ",
  "\n- ",
  "\n1. ",
  "\n## ",
  " **",
  "** ",
  "\n\n```js\nlet a = 1;\n```\n",
  "\n| a | b |\n|---|---|\n| c | d |\n",
  " 👍🏽 ",
  " <br> ",
  " `x` ",
  " [a link](https://example.org/a_b) ",
  " \\(x^2\\) ",
  " $5 ",
  " 10–12 °C ",
  " www.example.org ",
  "<!-- a. b -->",
  " 【1†a】",
  "…",
  "?!",
  " z. B. ",
  " Dr. ",
  " 3.14 ",
  "\t",
  "    ",
];

function randomText(random: () => number): string {
  const sentences = Object.values(SENTENCES).flat();
  const parts = Array.from({ length: 12 }, () => {
    const from = random() < 0.5 ? sentences : MARKUP;
    return from[Math.floor(random() * from.length)] ?? "";
  });
  return parts.join("");
}

function cutAnywhere(text: string, random: () => number): string[] {
  const chunks: string[] = [];
  for (let at = 0; at < text.length; ) {
    const length = 1 + Math.floor(random() * 9);
    chunks.push(text.slice(at, at + length));
    at += length;
  }
  return chunks;
}

describe("any text in any chunks", () => {
  const random = randomFrom(9);
  const texts = Array.from({ length: 400 }, () => randomText(random));

  test("is spoken in the same way, whatever the chunks", () => {
    for (const text of texts) {
      expect(pieces(cutAnywhere(text, random))).toEqual(pieces([text]));
    }
  });

  test("gives pieces that are short enough and have something to say", () => {
    for (const piece of texts.flatMap((text) => pieces([text]))) {
      expect(piece.length).toBeLessThanOrEqual(LONGEST);
      expect(piece).toMatch(/[\p{L}\p{N}]/u);
      expect(piece).not.toMatch(/[|`]|https?:|<br|\p{Extended_Pictographic}/u);
    }
  });
});

describe.each(Object.entries(SENTENCES))("sentences in %s", (language, sentences) => {
  const random = randomFrom(language.charCodeAt(0));
  const space = language === "ja" || language === "zh" ? "" : " ";

  test("are spoken one by one, without loss", () => {
    for (let round = 0; round < 50; round++) {
      const order = sentences.toSorted(() => random() - 0.5);
      const text = order.join(space);
      const spoken = pieces(cutAnywhere(text, random), language);
      expect(lettersOf(spoken.join(""))).toBe(lettersOf(text));
      expect(spoken).toHaveLength(order.length);
    }
  });

  test("leave before the next one has two letters", () => {
    for (const first of sentences) {
      for (const second of sentences) {
        const answer = new SpokenText(language);
        expect(answer.push(`${first}${space}${second[0]}`)).toHaveLength(1);
      }
    }
  });
});

const UNCUT = [
  "Ask Dr. Smith, Mr. J. R. Jones and e.g. Mrs. May about it.",
  "It costs 3.50 or 1.000 or so.",
  "Wir sehen uns z. B. am 3. Mai bzw. am 24. Dezember, d. h. bald.",
  "Fragen Sie Hrn. Dr. Maier, ca. 5 usw. reichen.",
  "“Really?” she asked, and (why not?) he nodded.",
  "El Sr. Gil y la Sra. Paz, p. ej. aquí.",
  "Ludwig XIV. war König, « Bonjour ! » dit-il, EE. UU. y más.",
  "Well... maybe, and so on… or not.",
  "彼は「はい。いいえ。」と言った。",
  "Read [the guide. Now](https://example.org/a.b) first.",
  'Use `a. b` and <a title="x. y">this</a> and \\(a. b\\) here.',
];

test.each(UNCUT)("is one sentence: %s", (text) => {
  expect(pieces([text])).toHaveLength(1);
});

describe("a long text", () => {
  test("without any mark is cut between words", () => {
    const text = "word ".repeat(800).trim();
    const spoken = pieces([text]);
    expect(spoken.join(" ")).toBe(text);
  });

  test.each(["a", "あ", "字", "ก", "😀b", "𠀀"])("without spaces is cut: %s", (letter) => {
    const text = letter.repeat(4000 / letter.length);
    const spoken = pieces(cutAnywhere(text, randomFrom(1)));
    expect(lettersOf(spoken.join(""))).toBe(lettersOf(text));
    expect(Math.max(...spoken.map(({ length }) => length))).toBeLessThanOrEqual(LONGEST);
  });

  test("is measured as it is read: numbers become longer in words", () => {
    const spoken = pieces(["$1,234,567.89 and ".repeat(14)], "en");
    expect(spoken.join(" ").length).toBeGreaterThan(900);
    expect(Math.max(...spoken.map(({ length }) => length))).toBeLessThanOrEqual(LONGEST);
  });

  test("that looks like a row of a table is not held without end", () => {
    expect(new SpokenText("en").push(`| ${"word ".repeat(1000)}`).length).toBeGreaterThan(10);
  });

  test("begins with a part of its first sentence, and only with that", () => {
    const clause = "which is the house that somebody built by the sea, ";
    const [first = "", second = ""] = pieces([`This is it, ${clause.repeat(5)}and so on.`]);
    expect(first.length).toBeLessThanOrEqual(100);
    expect(first).toEndWith(",");
    expect(second.length).toBeGreaterThan(100);
  });
});

describe("a text that pauses", () => {
  test.each(["Hello there.", "Is it so?", "今日は晴れです！", "He said “yes.”", "In 1999 etc"])(
    "%s",
    (text) => {
      const answer = new SpokenText(null);
      const spoken = [...answer.push(text), ...answer.settle()];
      expect(spoken).toEqual(/[.?!！”]$/.test(text) ? [text] : []);
    },
  );

  test.each(["It is 3.", "So e.g.", "1.", "See [a.", "```js\na.", "Mr."])("goes on: %s", (text) => {
    const answer = new SpokenText(null);
    answer.push(text);
    expect(answer.settle()).toEqual([]);
  });
});

test("an answer without words is in the language of what was said before", () => {
  const table = "| Tee | 3,50 € |\n";
  const answer = new SpokenText(null, "Was kostet der Tee?");
  expect(answer.push(table)).toEqual(["Tee, drei Euro fünfzig"]);
  expect(new SpokenText(null).push(table)).toEqual(["Tee, 3,50 €"]);
});

test("a lone mark is no request and delays nothing", () => {
  const answer = new SpokenText("en");
  expect(answer.push("“ 👍 — \n! ")).toEqual([]);
  expect(answer.push("Yes. ")).toEqual(["Yes."]);
  expect(answer.push("” … ")).toEqual([]);
  expect(answer.push("Fine. ")).toEqual(["Fine."]);
});

test("a name after an abbreviation and the query of an address do not end a sentence", () => {
  const text =
    "The U.S. Army came at 5 p.m. Tuesday. It left at 6 p.m. The end. " +
    "See https://example.org/find?Query=1 now.";
  const spoken = new SpokenText("en");
  expect([...spoken.push(text), ...spoken.end()]).toEqual([
    "The U.S. Army came at 5 p.m. Tuesday.",
    "It left at 6 p.m.",
    "The end.",
    "See example dot org now.",
  ]);
});
