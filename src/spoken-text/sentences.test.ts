import { describe, expect, test } from "bun:test";
import { sentences } from "./sentences.ts";

/** Texts as they are cut, the cuts written as " | ". */
const CUT = [
  "Hello there. | How are you? | I am well!",
  "Ask Dr. Smith or Mrs. J. Jones. | They know.",
  "The U.S. Army came at 5 p.m. Tuesday.",
  "He lives in the U.S. | She does not.",
  "We met at 5 p.m. | The door was open.",
  "Am 3. Oktober feiern wir. | Danach nicht.",
  "Er wurde 2. Sieger im 100-Meter-Lauf.",
  "Nimm z. B. Hunde, d. h. Tiere. | Gut.",
  "Das ist z.B. Holz usw. | Es brennt.",
  "Don Quijote, p. ej. Sancho. | Fin.",
  "M. Dupont habite ici. | Il est gentil.",
  "1. First we go. | 2. Then we stop.",
  "See https://example.org/find?q=One.Two!x for more. | Thanks.",
  "No. | I don't think so.",
  "No. 5 is alive. | Yes.",
  "Version 3.5 costs 1.000 euros. | Good.",
  "Это т. е. он, см. стр. пять. | Она ушла.",
  "こんにちは。 | お元気ですか？ | はい。",
  "「はい。」と言った。 | 次です。",
  "नमस्ते। | आप कैसे हैं?",
  "Wait... what? | Yes… | No!",
  "“Stop!” he said. | “Why?” | She left.",
];

test.each(CUT)("%s", (marked) => {
  const pieces = marked.split(" | ");
  const isSpaceless = /[ぁ-ん]/.test(marked);
  expect(sentences(pieces.join(isSpaceless ? "" : " "))).toEqual(pieces);
});

describe("a line break", () => {
  test.each([
    [
      "within a sentence only wraps it",
      "I am\nwell, and so\r\nare you.",
      ["I am well, and so are you."],
    ],
    [
      "in a long line only wraps it, also before a capital letter",
      "When all of us had eaten we took the early train to\nParis and slept.",
      ["When all of us had eaten we took the early train to Paris and slept."],
    ],
    ["after a heading ends it", "The beginning\nIt was night.", ["The beginning", "It was night."]],
    ["ends an item of a list", "- milk\n- bread\n1. go", ["- milk", "- bread", "1. go"]],
    ["twice ends a paragraph", "so it goes\n\nand on", ["so it goes", "and on"]],
  ])("%s", (_, text, pieces) => {
    expect(sentences(text)).toEqual(pieces);
  });
});

test("a long first sentence is cut where a voice may pause", () => {
  const text =
    "When the rain had stopped at last, we walked down to the harbour, where the boats were " +
    "waiting for the tide, and nobody said a word.";
  const pieces = sentences(text);
  expect(pieces[0]).toBe("When the rain had stopped at last, we walked down to the harbour,");
  expect(pieces.join(" ")).toBe(text);
});

test("a text without punctuation is cut between words, and one without spaces anywhere", () => {
  const words = "word ".repeat(200).trim();
  const pieces = sentences(words);
  expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThanOrEqual(300);
  expect(pieces.join(" ")).toBe(words);
  expect(sentences("a".repeat(1000)).join("")).toBe("a".repeat(1000));
});

test("no character is cut in half", () => {
  const pieces = sentences("𝒜".repeat(1000));
  expect(pieces.join("")).toBe("𝒜".repeat(1000));
  for (const piece of pieces) expect(piece.isWellFormed()).toBe(true);
});

test("punctuation without words is left out", () => {
  expect(sentences("...\nYes!\n—\n")).toEqual(["Yes!"]);
  expect(sentences("。")).toEqual([]);
});

test("nothing is lost after a control character or half a surrogate pair", () => {
  expect(sentences("One\u0000two\u0007three.\ud800 Four\udc00 five.")).toEqual([
    "One two three.",
    "Four five.",
  ]);
  expect(sentences("so\u00adft \u200bhyphen\ufeff")).toEqual(["soft hyphen"]);
  expect(sentences("a\u2028b\u0085c\ud83d\ude00")).toEqual(["a b c😀"]);
});
