import { afterEach, expect, setSystemTime, test } from "bun:test";
import { MessageTimes } from "./message-times.ts";

afterEach(() => {
  setSystemTime();
});

const HOUR_MS = 3_600_000;
/** @param afterMs how much later than now it was said */
const message = (id: string, afterMs = 0) => ({ id, createdAt: Date.now() + afterMs });
const idsOf = (items: readonly { id: string }[]) => items.map(({ id }) => id).join("");

test("messages stand in the order in which they came, though the clock was set back or forward", () => {
  for (const step of [-HOUR_MS, HOUR_MS, -30 * HOUR_MS]) {
    const times = new MessageTimes();
    const items = [message("a"), message("b", 10)];
    times.settle(items);
    setSystemTime(Date.now() + step);
    items.unshift(message("c", 20));
    times.settle(items);
    setSystemTime();
    items.unshift(message("d", 30));
    times.settle(items);
    expect(idsOf(items)).toBe("abcd");
  }
});

test("a copy of a message keeps its time", () => {
  const times = new MessageTimes();
  const first = message("a");
  times.settle([first]);
  setSystemTime(Date.now() - HOUR_MS);
  const second = message("b");
  times.settle([second]);
  const copies = [{ ...second }, { ...first }];
  times.settle(copies);
  expect(idsOf(copies)).toBe("ab");
});

test("what was said earlier and is noted later keeps its place, where nobody set the clock", () => {
  const times = new MessageTimes();
  const now = Date.now();
  const items = [
    { id: "user", createdAt: now },
    { id: "interrupted answer", createdAt: now - 800 },
  ];
  times.settle(items);
  expect(items.map(({ createdAt }) => createdAt)).toEqual([now - 800, now]);
});
