import { expect, test } from "bun:test";
import { decibels, rmsOf } from "../../test/audio/listen.ts";
import { failureSamples } from "./failure-sound.ts";

test("the sound of a failure is short, soft, and has no click", () => {
  const samples = failureSamples();
  expect(samples.length % 480).toBe(0);
  expect(samples.length / 24_000).toBeCloseTo(0.36, 2);
  const peak = Math.max(...samples.map(Math.abs)) / 32_768;
  expect(20 * Math.log10(peak)).toBeWithin(-24, -18);
  // A sine of 523 Hz at its peak changes by less than this between two samples.
  const steps = samples.slice(1).map((sample, index) => Math.abs(sample - (samples[index] ?? 0)));
  expect(Math.max(...steps) / 32_768).toBeLessThan(0.015);
  expect(Math.abs(samples.at(-1) ?? 1)).toBeLessThan(10);
  expect(decibels(rmsOf(samples))).toBeGreaterThan(-40);
});
