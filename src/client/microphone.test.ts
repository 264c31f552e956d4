import { expect, test } from "bun:test";
import { levelOf } from "./microphone.ts";

test("the level is linear in decibels, from the floor to full scale", () => {
  const tone = (amplitude: number) => levelOf(new Float32Array(8).fill(amplitude));
  expect(tone(0)).toBe(0);
  expect(tone(1)).toBe(1);
  expect(tone(0.0001)).toBe(0);
  expect(tone(10 ** (-30 / 20))).toBeCloseTo(0.5);
});
