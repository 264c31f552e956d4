import { expect, test } from "bun:test";
import { hasOneCase, sentenceCase } from "./casing.ts";

test("text in capitals is written as people write it", () => {
  expect(sentenceCase("HOW ARE YOU")).toBe("How are you");
  expect(sentenceCase("I'M HERE AND I THINK I'LL STAY IN IT")).toBe(
    "I'm here and I think I'll stay in it",
  );
  expect(sentenceCase("今日 HELLO")).toBe("今日 hello");
  expect(sentenceCase("")).toBe("");
});

test("a vocabulary with one case is recognised", () => {
  expect(hasOneCase("<blk> 0\n<unk> 1\n▁THE 2\nS 3\n")).toBe(true);
  expect(hasOneCase("<blk> 0\n▁the 1\ns 2\n' 3\n")).toBe(true);
  expect(hasOneCase("<blk> 0\n▁The 1\n▁the 2\n")).toBe(false);
  expect(hasOneCase("<blk> 0\n今 1\n日 2\n")).toBe(false);
});
