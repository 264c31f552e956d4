import { expect, test } from "bun:test";
import { reuseOf } from "./kv-reuse.ts";

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

test("a conversation that goes on uses all of the cache", () => {
  const cached = range(0, 100);
  expect(reuseOf(cached, range(0, 150), true)).toEqual({ prefix: 100, resume: 100, length: 0 });
});

test("a conversation whose oldest turns fell out uses what is before and after them", () => {
  const cached = range(0, 300);
  const prompt = [...range(0, 40), ...range(120, 320)];
  expect(reuseOf(cached, prompt, true)).toEqual({ prefix: 40, resume: 120, length: 180 });
  expect(reuseOf(cached, prompt, false)).toEqual({ prefix: 40, resume: 40, length: 0 });
});

test("an answer that came back shortened ends what is used", () => {
  const cached = range(0, 300);
  const prompt = [...range(0, 40), ...range(120, 250), ...range(900, 950)];
  expect(reuseOf(cached, prompt, true)).toEqual({ prefix: 40, resume: 120, length: 130 });
});

test("a few equal tokens are not moved", () => {
  const prompt = [...range(0, 40), ...range(90, 100), ...range(500, 600)];
  expect(reuseOf(range(0, 100), prompt, true).length).toBe(0);
});

test("nothing is used of another conversation, or of an empty cache", () => {
  expect(reuseOf(range(500, 900), range(0, 100), true).prefix).toBe(0);
  expect(reuseOf([], range(0, 100), true)).toEqual({ prefix: 0, resume: 0, length: 0 });
});
