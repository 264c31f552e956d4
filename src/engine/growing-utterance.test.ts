import { expect, test } from "bun:test";
import { FairQueue } from "./fair-queue.ts";
import { GrowingUtterance } from "./growing-utterance.ts";
import { HEARING_RATE, quietestCut } from "./split-audio.ts";

const LONGEST_S = 24;
const never = new AbortController().signal;

/** A recogniser whose text is the number of seconds that it was given. */
async function seconds(samples: Float32Array): Promise<string> {
  return String(Math.round(samples.length / HEARING_RATE));
}

function noise(lengthS: number): Float32Array {
  return Float32Array.from({ length: lengthS * HEARING_RATE }, (_, i) => (i % 2 ? 0.1 : -0.1));
}

test("audio that is too long is cut where it is quietest", () => {
  const audio = noise(LONGEST_S + 10);
  audio.fill(0, 20 * HEARING_RATE, 20.2 * HEARING_RATE);
  expect(quietestCut(audio, LONGEST_S) / HEARING_RATE).toBeCloseTo(20.1, 1);
});

test("each part of a long utterance is decoded once, and they come in order", async () => {
  const decoded: number[] = [];
  const decode = async (samples: Float32Array) => {
    decoded.push(samples.length);
    return seconds(samples);
  };
  const utterance = new GrowingUtterance(decode, LONGEST_S, new FairQueue(), "a");
  for (let i = 0; i < 60; i++) utterance.push(noise(1));
  const heard = await utterance.finish(never);
  expect(decoded.length).toBe(heard.length);
  expect(Math.max(...decoded)).toBeLessThanOrEqual(LONGEST_S * HEARING_RATE);
  expect(heard[0]?.start).toBe(0);
  expect(heard.at(-1)?.end).toBe(60);
  expect(heard.slice(1).map(({ start }) => start)).toEqual(
    heard.slice(0, -1).map(({ end }) => end),
  );
});

test("interims hold all that was said, and stand back where others wait", async () => {
  const queue = new FairQueue();
  const utterance = new GrowingUtterance(seconds, LONGEST_S, queue, "a");
  utterance.push(noise(2));
  expect(await utterance.interim(never)).toBe("2");
  utterance.push(noise(1));
  expect(await utterance.interim(never)).toBe("3");
  const other = Promise.withResolvers<void>();
  void queue.run("b", () => other.promise);
  expect(await utterance.interim(never)).toBeUndefined();
  other.resolve();
});

test("who goes away is not waited for", async () => {
  const queue = new FairQueue();
  const other = Promise.withResolvers<void>();
  void queue.run("b", () => other.promise);
  const utterance = new GrowingUtterance(seconds, LONGEST_S, queue, "a");
  utterance.push(noise(1));
  const gone = new AbortController();
  const heard = utterance.finish(gone.signal);
  gone.abort(new Error("gone"));
  await expect(heard).rejects.toThrow("gone");
  other.resolve();
});
