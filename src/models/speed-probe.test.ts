import { expect, test } from "bun:test";
import { catalogModel } from "../domain/catalog.ts";
import { BUILTIN_CATALOG } from "./builtin-catalog.ts";
import { estimated, probeSpeed } from "./speed-probe.ts";

test("the machine's speed is measured on other threads than this one", async () => {
  let longest = 0;
  let at = performance.now();
  const watch = setInterval(() => {
    longest = Math.max(longest, performance.now() - at);
    at = performance.now();
  }, 5);
  const speed = await probeSpeed();
  clearInterval(watch);
  console.log(speed, `the event loop was not free for ${longest.toFixed(0)} ms at most`);
  expect(speed.multiplyAddsPerSecond).toBeGreaterThan(1e7);
  expect(speed.bytesPerSecond).toBeGreaterThan(1e8);
});

test("a machine twice as fast is estimated to be twice as fast, and unknown kinds not at all", () => {
  const slow = { multiplyAddsPerSecond: 1e9, bytesPerSecond: 1e10 };
  const fast = { multiplyAddsPerSecond: 2e9, bytesPerSecond: 2e10 };
  for (const model of BUILTIN_CATALOG) {
    const before = estimated(model, slow);
    const after = estimated(model, fast);
    expect(after.promptTokensPerSecond).toEqual(times(before.promptTokensPerSecond, 2));
    expect(after.generationTokensPerSecond).toEqual(times(before.generationTokensPerSecond, 2));
    expect(after.realTimeFactor).toEqual(times(before.realTimeFactor, 0.5));
  }
  const [first] = BUILTIN_CATALOG;
  const unknown = catalogModel.shape.kind.parse("no-such-kind");
  if (!first) throw new Error("the catalogue is empty");
  expect(estimated({ ...first, kind: unknown }, slow)).toEqual({ memory: first.memory });
});

function times(value: number | undefined, factor: number): number | undefined {
  return value === undefined ? undefined : value * factor;
}
