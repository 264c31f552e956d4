import { expect, test } from "bun:test";
import { memoryLogger } from "../../test/event-log.ts";
import { ClosingGroup } from "./closing-group.ts";

test("a part that hangs or fails is named, and keeps neither others nor later groups open", async () => {
  const logger = memoryLogger();
  const closed: string[] = [];
  const part = (name: string, close: () => Promise<void>) => ({
    [Symbol.asyncDispose]: async () => {
      await close();
      closed.push(name);
    },
  });
  {
    await using all = new AsyncDisposableStack();
    all.defer(() => void closed.push("the database"));
    const group = all.use(new ClosingGroup(logger));
    group.use(
      "the hanging one",
      50,
      part("hanging", () => new Promise(() => {})),
    );
    group.use(
      "the failing one",
      50,
      part("failing", () => Promise.reject(new Error("no"))),
    );
    group.use(
      "the slow one",
      5000,
      part("slow", () => Bun.sleep(10)),
    );
    group.use("a plain one", 50, { [Symbol.dispose]: () => void closed.push("plain") });
  }
  expect(closed).toEqual(["plain", "slow", "the database"]);
  expect(logger.lines.map(({ msg }) => msg).sort()).toEqual([
    "the failing one did not close cleanly",
    "the hanging one did not close cleanly",
  ]);
});

test("closing twice closes once", async () => {
  let times = 0;
  const group = new ClosingGroup(memoryLogger());
  group.use("it", 50, { [Symbol.dispose]: () => void times++ });
  await group[Symbol.asyncDispose]();
  await group[Symbol.asyncDispose]();
  expect(times).toBe(1);
});
