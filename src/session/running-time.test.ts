import { afterEach, expect, setSystemTime, test } from "bun:test";
import { ForwardClock, RunningTime } from "./running-time.ts";

afterEach(() => {
  setSystemTime();
});

test("running time counts what passes between two looks, but not a sleep of the machine", () => {
  let uptime = 1000;
  const time = new RunningTime(() => uptime);
  expect(time.now()).toBe(0);
  uptime += 1500;
  expect(time.now()).toBe(1500);
  uptime += 3_600_000;
  expect(time.now()).toBe(6500);
  uptime -= 100;
  expect(time.now()).toBe(6500);
});

test("a session's clock follows the wall clock forward, and runs on when that is set back", () => {
  let uptime = 0;
  const set = (ms: number) => setSystemTime(new Date(ms));
  set(1_000_000);
  const clock = new ForwardClock(() => uptime);
  expect(clock.now()).toBe(1_000_000);
  uptime += 500;
  set(5_000_000);
  expect(clock.now()).toBe(5_000_000);
  uptime += 500;
  set(1_000_000);
  expect(clock.now()).toBe(5_000_500);
  uptime += 250;
  expect(clock.now()).toBe(5_000_750);
});
