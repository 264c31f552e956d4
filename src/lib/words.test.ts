import { expect, test } from "bun:test";
import { directionOf, listed } from "./words.ts";

test.each([
  ["Hello, world.", "auto"],
  ["مرحبا، كيف حالك؟", "auto"],
  ["", "auto"],
  ["12:30 – 14:00", "auto"],
  ["LiveKit مكتبة رائعة للصوت", "rtl"],
  ["«Parley» هو مساعد صوتي", "rtl"],
  ["WhatsApp שולח הודעות קוליות", "rtl"],
  ["مرحبا means hello in Arabic", "ltr"],
  ["日本語 and English", "auto"],
  ["ab אב", "auto"],
] as const)("the direction of %p is %p", (text, direction) => {
  expect(directionOf(text)).toBe(direction);
});

test("a list may have the commas of any script, and lines", () => {
  expect(listed(" Ada,Grace Hopper ,, Ada\n東京、大阪，京都\nقهوة، شاي,")).toEqual([
    ...["Ada", "Grace Hopper", "東京", "大阪", "京都", "قهوة", "شاي"],
  ]);
  expect(listed(" , ")).toEqual([]);
});
