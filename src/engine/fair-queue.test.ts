import { expect, test } from "bun:test";
import { setImmediate } from "node:timers/promises";
import { FairQueue } from "./fair-queue.ts";

/** Jobs that record when they begin, and end when the test says so. */
function recordedJobs(queue: FairQueue) {
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const add = (client: string, name: string, signal?: AbortSignal) =>
    queue.run(
      client,
      () => {
        begun.push(name);
        const { promise, resolve } = Promise.withResolvers<string>();
        ends.set(name, () => resolve(name));
        return promise;
      },
      signal,
    );
  const end = async (name: string) => {
    ends.get(name)?.();
    await setImmediate();
  };
  return { begun, add, end };
}

test("clients take turns, whatever the number of their jobs", async () => {
  const { begun, add, end } = recordedJobs(new FairQueue());
  for (const job of ["a1", "a2", "a3"]) void add("a", job);
  for (const job of ["b1", "b2"]) void add("b", job);
  void add("c", "c1");
  for (const job of ["a1", "a2", "b1", "c1", "a3"]) await end(job);
  expect(begun).toEqual(["a1", "a2", "b1", "c1", "a3", "b2"]);
});

test("no more jobs run at once than are allowed", async () => {
  const queue = new FairQueue(2);
  const { begun, add, end } = recordedJobs(queue);
  for (const client of ["a", "b", "c"]) void add(client, client);
  expect(begun).toEqual(["a", "b"]);
  expect(queue.busy).toBe(true);
  await end("b");
  expect(begun).toEqual(["a", "b", "c"]);
});

test("a job aborted while it waits never runs and delays no other job", async () => {
  const { begun, add, end } = recordedJobs(new FairQueue());
  const gone = new AbortController();
  void add("a", "a1");
  const waiting = add("b", "b1", gone.signal);
  void add("c", "c1");
  gone.abort(new Error("gone"));
  await expect(waiting).rejects.toThrow("gone");
  await expect(add("d", "d1", gone.signal)).rejects.toThrow("gone");
  await end("a1");
  expect(begun).toEqual(["a1", "c1"]);
});

test("a job that fails does not affect the next", async () => {
  const queue = new FairQueue();
  const failed = queue.run("a", () => Promise.reject(new Error("no")));
  await expect(failed).rejects.toThrow("no");
  const thrown = queue.run("a", () => {
    throw new Error("at once");
  });
  await expect(thrown).rejects.toThrow("at once");
  expect(await queue.run("a", async () => "yes")).toBe("yes");
});
