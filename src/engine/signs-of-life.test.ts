import { expect, test } from "bun:test";
import { withSigns } from "./signs-of-life.ts";

const RATE = 24_000;
const PIECE = Int16Array.of(1, 2, 3);

test("a piece that is there at once comes without silence", async () => {
  async function* pieces() {
    yield PIECE;
    yield PIECE;
  }
  expect(await Array.fromAsync(withSigns(pieces(), RATE))).toEqual([PIECE, PIECE]);
});

test("while a piece is awaited, moments of silence come; for a voice that hangs they end", async () => {
  const made = Promise.withResolvers<void>();
  async function* pieces() {
    await made.promise;
    yield PIECE;
  }
  const signs = withSigns(pieces(), RATE, { everyMs: 5, longestMs: 15 });
  for (let count = 0; count < 3; count++) {
    expect((await signs.next()).value).toEqual(new Int16Array(RATE * 0.05));
  }
  const last = signs.next();
  made.resolve();
  expect((await last).value).toEqual(PIECE);
  expect((await signs.next()).done).toBe(true);
});

test("what breaks a voice breaks the pieces, and who stops reading stops the voice", async () => {
  async function* broken(): AsyncGenerator<Int16Array> {
    yield PIECE;
    throw new Error("broken");
  }
  await expect(Array.fromAsync(withSigns(broken(), RATE))).rejects.toThrow("broken");
  const stopped = Promise.withResolvers<void>();
  async function* endless() {
    try {
      for (;;) yield PIECE;
    } finally {
      stopped.resolve();
    }
  }
  for await (const _ of withSigns(endless(), RATE)) break;
  await stopped.promise;
});
