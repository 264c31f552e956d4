import { expect, test } from "bun:test";
import { lazy } from "./lazy.ts";

test("the resource is created once and closed on disposal", async () => {
  const events: string[] = [];
  {
    await using resource = lazy(
      async () => events.push("created"),
      async () => void events.push("closed"),
    );
    expect(events).toEqual([]);
    await Promise.all([resource.get(), resource.get()]);
    expect(events).toEqual(["created"]);
  }
  expect(events).toEqual(["created", "closed"]);
});

test("a resource that was never needed is neither created nor closed", async () => {
  const events: string[] = [];
  await using _resource = lazy(
    async () => events.push("created"),
    async () => void events.push("closed"),
  );
  expect(events).toEqual([]);
});

test("after a failure the next caller tries again, and a failure needs no closing", async () => {
  let attempts = 0;
  let closed = 0;
  {
    await using resource = lazy(
      async () => {
        attempts += 1;
        if (attempts === 1) throw new Error("not yet");
        return attempts;
      },
      async () => void closed++,
    );
    await expect(resource.get()).rejects.toThrow("not yet");
    await expect(resource.get()).resolves.toBe(2);
  }
  expect(closed).toBe(1);
  await using failing = lazy(
    async () => Promise.reject(new Error("never")),
    async () => void closed++,
  );
  await expect(failing.get()).rejects.toThrow("never");
  await failing[Symbol.asyncDispose]();
  expect(closed).toBe(1);
});

test("what is asked for after disposal is not created, and disposing twice closes once", async () => {
  const events: string[] = [];
  const resource = lazy(
    async () => events.push("created"),
    async () => void events.push("closed"),
  );
  await resource.get();
  await Promise.all([resource[Symbol.asyncDispose](), resource[Symbol.asyncDispose]()]);
  await expect(resource.get()).rejects.toThrow("closed");
  expect(events).toEqual(["created", "closed"]);
});

test("a creation that throws at once is a rejection, and is tried again", async () => {
  let attempts = 0;
  await using resource = lazy(
    () => {
      attempts += 1;
      if (attempts === 1) throw new Error("at once");
      return Promise.resolve(attempts);
    },
    async () => {},
  );
  await expect(resource.get()).rejects.toThrow("at once");
  expect(await resource.get()).toBe(2);
});
