import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import { DeadlineExceeded, withDeadline } from "./deadline.ts";

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
  expect(withDeadline(broken, 1000, "working")).rejects.toThrow("broken");
  await broken.catch(() => {});
  await null;
  expect(jest.getTimerCount()).toBe(0);
});

test("work that takes too long is given up, with what it was", async () => {
  const outcome = withDeadline(new Promise(() => {}), 1000, "joining the room");
  const failed = outcome.catch((error: unknown) => error);
  jest.advanceTimersByTime(1000);
  const error = await failed;
  expect(error).toBeInstanceOf(DeadlineExceeded);
  expect(error).toHaveProperty("message", "joining the room took longer than 1000 ms");
});

test("work that fails after its deadline disturbs nobody", async () => {
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
