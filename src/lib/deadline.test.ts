import { afterEach, beforeEach, describe, expect, jest, spyOn, test } from "bun:test";
import { DeadlineExceeded, untilAborted, withDeadline } from "./deadline.ts";

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

test("work that ends in time gives its result and leaves no timer", async () => {
  expect(await withDeadline(Promise.resolve(7), 1000, "working")).toBe(7);
  expect(jest.getTimerCount()).toBe(0);
});

test("work that fails in time gives its own error and leaves no timer", async () => {
  const broken = Promise.reject(new Error("broken"));
  await expect(withDeadline(broken, 1000, "working")).rejects.toThrow("broken");
  expect(jest.getTimerCount()).toBe(0);
});

test("work that takes too long is given up, and the error names it", async () => {
  const outcome = withDeadline(new Promise(() => {}), 1000, "joining the room");
  const failed = outcome.catch((error: unknown) => error);
  jest.advanceTimersByTime(1000);
  const error = await failed;
  expect(error).toBeInstanceOf(DeadlineExceeded);
  expect(error).toHaveProperty("message", "joining the room took longer than 1000 ms");
});

test("work that fails after its deadline is no unhandled rejection", async () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => unhandled.push(reason);
  process.on("unhandledRejection", note);
  const { promise, reject } = Promise.withResolvers<void>();
  const outcome = withDeadline(promise, 10, "working").catch((error: unknown) => error);
  jest.advanceTimersByTime(10);
  expect(await outcome).toBeInstanceOf(DeadlineExceeded);
  reject(new Error("too late"));
  jest.useRealTimers();
  await new Promise((resolve) => setImmediate(resolve));
  process.off("unhandledRejection", note);
  expect(unhandled).toEqual([]);
});

describe("untilAborted", () => {
  test("gives the work's result or its error, and removes its listener", async () => {
    const { signal } = new AbortController();
    const listening = spyOn(signal, "addEventListener");
    const gone = spyOn(signal, "removeEventListener");
    expect(await untilAborted(signal, Promise.resolve(7))).toBe(7);
    const broken = untilAborted(signal, Promise.reject(new Error("broken")));
    expect(await broken.catch((error: unknown) => String(error))).toBe("Error: broken");
    expect(gone.mock.calls.length).toBe(listening.mock.calls.length);
    expect(gone.mock.calls.length).toBe(2);
  });

  test("throws the signal's reason at once, without waiting for the work", async () => {
    const abort = new AbortController();
    const waiting = untilAborted(abort.signal, new Promise(() => {}));
    const failed = waiting.catch((error: unknown) => error);
    abort.abort("stopped");
    expect(await failed).toBe("stopped");
  });

  test("throws the reason of a signal that was aborted before", async () => {
    const signal = AbortSignal.abort("stopped");
    const outcome = untilAborted(signal, new Promise(() => {}));
    expect(await outcome.catch((error: unknown) => error)).toBe("stopped");
  });
});
