import { describe, expect, test } from "bun:test";
import type { ChatHistoryItem } from "node-llama-cpp";
import { failureOf } from "../../test/failure-of.ts";
import { windowOf } from "./conversation-window.ts";

/** One token a character, so that the sizes of a test are its texts' lengths. */
const size = (item: ChatHistoryItem) =>
  item.type === "model" ? item.response.join("").length : String(item.text).length;
const counts = {
  ofItem: size,
  ofPrompt: (items: readonly ChatHistoryItem[]) =>
    items.reduce((total, item) => total + size(item), 0),
};

const system = (length: number): ChatHistoryItem => ({ type: "system", text: "s".repeat(length) });
const turn = (length: number): ChatHistoryItem[] => [
  { type: "user", text: "u".repeat(length / 2) },
  { type: "model", response: ["m".repeat(length / 2)] },
];
const user = (length: number): ChatHistoryItem => ({ type: "user", text: "u".repeat(length) });
const turns = (count: number, length: number) => Array.from({ length: count }, () => turn(length));

describe("what of a conversation a model sees", () => {
  test("is all of it while it fits", () => {
    const history = [system(50), ...turns(4, 100).flat(), user(50)];
    expect(windowOf(history, counts, 1000)).toEqual(history);
  });

  test("is the instructions and the newest whole turns, with room for the answer", () => {
    for (let count = 5; count < 60; count++) {
      const history = [system(50), ...turns(count, 100).flat(), user(60)];
      const kept = windowOf(history, counts, 1000);
      expect(kept[0]).toEqual(system(50));
      expect(kept[1]?.type).toBe("user");
      expect(kept.slice(1)).toEqual(history.slice(1 - kept.length));
      expect(counts.ofPrompt(kept)).toBeLessThanOrEqual(750);
      expect(counts.ofPrompt(kept)).toBeGreaterThan(300);
    }
  });

  test("begins at the same turn for several turns, and does not depend on the last one", () => {
    const begins = Array.from({ length: 40 }, (_, count) => {
      const history = [system(50), ...turns(count, 100).flat()];
      const [short, long] = [user(10), user(120)].map(
        (last) => history.length + 1 - windowOf([...history, last], counts, 1000).length,
      );
      expect(short).toBe(long ?? -1);
      return short ?? 0;
    });
    expect(begins).toEqual(begins.toSorted((a, b) => a - b));
    expect(new Set(begins).size).toBeLessThan(22);
    expect(new Set(begins).size).toBeGreaterThan(5);
  });

  test("is only the last turn where that takes all the room", () => {
    const history = [system(50), ...turns(20, 100).flat(), user(690)];
    expect(windowOf(history, counts, 1000)).toEqual([system(50), user(690)]);
  });

  test("keeps an answer that has begun, and instructions between the turns", () => {
    const history = [...turns(20, 100).flat(), system(20), user(20), ...turn(20).slice(1)];
    const kept = windowOf(history, counts, 1000);
    expect(kept.slice(-3)).toEqual(history.slice(-3));
    expect(kept).toContainEqual(system(20));
  });
});

describe("a last message that does not fit with the instructions", () => {
  test.each([
    ["a long message", [system(50), user(701)]],
    ["long instructions", [system(740), user(20)]],
    ["a message without instructions, after turns", [...turns(3, 100).flat(), user(751)]],
  ])("is refused: %s", async (_name, history) => {
    const failure = await failureOf(Promise.try(() => windowOf(history, counts, 1000)));
    expect(failure).toMatchObject({
      kind: "invalid",
      details: { code: "context_length_exceeded", param: "messages" },
    });
    expect(failure.message).toContain("maximum context length is 1000 tokens");
  });

  test("fits where the answer may only be short", () => {
    const history = [system(50), user(930)];
    expect(windowOf(history, counts, 1000, 20)).toEqual(history);
  });
});
