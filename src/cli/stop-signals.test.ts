import { expect, test } from "bun:test";
import { DRAIN_SIGNAL, StopSignals } from "./stop-signals.ts";

/** What a sequence of signals, each with its time in ms, has asked for. */
async function asked(...signals: [signal: Parameters<StopSignals["receive"]>[0], at: number][]) {
  const seen: string[] = [];
  const stops = new StopSignals(() => seen.push("kill"));
  void stops.drain.then(() => seen.push("drain"));
  void stops.quick.then(() => seen.push("quick"));
  for (const [signal, at] of signals) {
    stops.receive(signal, at);
    await Promise.resolve();
  }
  return seen;
}

test("SIGTERM drains, its echo changes nothing, a second one ends now and a third one kills", async () => {
  expect(await asked(["SIGTERM", 0])).toEqual(["drain"]);
  expect(await asked(["SIGTERM", 0], ["SIGTERM", 300])).toEqual(["drain"]);
  const seen = await asked(["SIGTERM", 0], ["SIGTERM", 500], ["SIGTERM", 600], ["SIGTERM", 1000]);
  expect(seen).toEqual(["drain", "quick", "kill"]);
});

test("SIGINT ends now, also right after SIGTERM, and a second one kills", async () => {
  expect(await asked(["SIGINT", 0], ["SIGINT", 300])).toEqual(["quick"]);
  expect(await asked(["SIGINT", 0], ["SIGTERM", 500])).toEqual(["quick", "kill"]);
  expect(await asked(["SIGTERM", 0], ["SIGINT", 10])).toEqual(["drain", "quick"]);
});

test("parley drain may be repeated", async () => {
  expect(await asked([DRAIN_SIGNAL, 0], [DRAIN_SIGNAL, 5000])).toEqual(["drain"]);
  expect(await asked([DRAIN_SIGNAL, 0], ["SIGTERM", 5000])).toEqual(["drain", "quick"]);
  expect(await asked(["SIGINT", 0], [DRAIN_SIGNAL, 5000])).toEqual(["quick"]);
});

test("once a drain is over, the next signal kills", async () => {
  let killed = false;
  const stops = new StopSignals(() => {
    killed = true;
  });
  stops.receive("SIGTERM", 0);
  stops.stopping(100);
  stops.receive("SIGTERM", 300);
  expect(killed).toBe(false);
  stops.receive("SIGTERM", 600);
  expect(killed).toBe(true);
});
