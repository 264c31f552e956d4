import { describe, expect, test } from "bun:test";
import { joinedTexts, overlapOf, timedWords, withoutLoops, wordsOf } from "./words.ts";

function merged(before: string, after: string, share = 0.2): string {
  const [first, second] = [wordsOf(before), wordsOf(after)];
  const { kept, skipped } = overlapOf(first, second, share);
  return joinedTexts(first.slice(0, kept).join("").trim(), second.slice(skipped).join("").trim());
}

describe("two texts that overlap are merged by the words that they share", () => {
  test.each([
    [
      "building a new school next to",
      "school next to the library",
      "building a new school next to the library",
    ],
    ["I should walk every dab", "walk every day and sleep", "I should walk every day and sleep"],
    ["The captain, followed", "Captain followed the song.", "The captain, followed the song."],
    ["今日は天気が", "天気がいいです", "今日は天気がいいです"],
    ["one two", "three four five six seven", "one two four five six seven"],
  ])("%s + %s", (before, after, expected) => {
    expect(merged(before, after)).toBe(expected);
  });
});

test("a common word far from the cut is no overlap", () => {
  const before = "Let me know when you are ready to leave the";
  expect(merged(before, "the soup needs a little more salt and reads the")).toBe(
    "Let me know when you are ready to leave the soup needs a little more salt and reads the",
  );
  expect(merged("It takes an hour to get to the airport", "We had time at the party", 0)).toBe(
    "It takes an hour to get to the airport We had time at the party",
  );
});

test("what a recogniser repeats in a loop is said once", () => {
  expect(withoutLoops(`looking for a${" little bit of a".repeat(12)} man`)).toBe(
    "looking for a little bit of a man",
  );
  expect(withoutLoops("you ".repeat(20))).toBe("you");
  expect(withoutLoops(`a ${"beautiful, ".repeat(5)}garden`)).toBe("a beautiful, garden");
  for (const text of ["No, no, no, no, no!", "again and again and again", "", "ha ha"]) {
    expect(withoutLoops(text)).toBe(text);
  }
});

test("words keep the space before them, and scripts without spaces have one word a character", () => {
  for (const text of ["It's 5 o'clock.", "今日は ok です", "ไทย"]) {
    expect(wordsOf(text).join("")).toBe(text);
  }
  expect(wordsOf("今日は")).toEqual(["今", "日", "は"]);
  expect(joinedTexts("今日は。", "天気")).toBe("今日は。天気");
  expect(joinedTexts("Yes.", "No.")).toBe("Yes. No.");
});

test("tokens become words with their times", () => {
  const tokens = ["▁How", "▁a", "re", "▁you", "?"];
  const timestamps = [0.2, 0.6, 0.7, 0.9, 1.2];
  expect(timedWords({ text: "How are you?", tokens, timestamps }, 5)).toEqual([
    { word: "How", start: 0.2, end: 0.6 },
    { word: "are", start: 0.6, end: 0.9 },
    { word: "you?", start: 0.9, end: expect.closeTo(1.82, 1) },
  ]);
  expect(timedWords({ text: "How", tokens: [" How"], timestamps: [] }, 5)).toBeUndefined();
  const unspaced = timedWords({ text: "今日", tokens: ["今", "日"], timestamps: [0, 1] }, 2);
  expect(unspaced?.map(({ word }) => word)).toEqual(["今", "日"]);
});
