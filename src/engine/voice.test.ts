import { expect, test } from "bun:test";
import { sentences } from "./voice.ts";

test("a text is cut into sentences", () => {
  expect(sentences("Hello there. How are you?  I am\nwell!")).toEqual([
    "Hello there.",
    "How are you?",
    "I am",
    "well!",
  ]);
});

test("an abbreviation does not end a sentence", () => {
  expect(sentences("Ask Dr. Smith or Mrs. J. Jones. They know.")).toEqual([
    "Ask Dr. Smith or Mrs. J. Jones.",
    "They know.",
  ]);
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
  expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThanOrEqual(280);
  expect(pieces.join(" ")).toBe(words);
  expect(sentences("a".repeat(1000)).join("")).toBe("a".repeat(1000));
});

test("punctuation without words is left out", () => {
  expect(sentences("...\nYes!\n—\n")).toEqual(["Yes!"]);
  expect(sentences("。")).toEqual([]);
});
