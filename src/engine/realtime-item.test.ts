import { expect, test } from "bun:test";
import { InterimWords } from "./realtime-item.ts";

test("words are sent once two results agree on them, and the rest at the end", () => {
  const words = new InterimWords();
  expect(words.update("the")).toBeUndefined();
  expect(words.update("The captain")).toBe("The");
  expect(words.update("The captain fell")).toBe(" captain");
  expect(words.update("The captain followed the")).toBeUndefined();
  expect(words.update("The captain followed the song.")).toBe(" followed the");
  expect(words.finish("The captain followed the song.")).toBe(" song.");
});

test("sent words stay, and later words are still sent", () => {
  const words = new InterimWords();
  words.update("sea sure");
  expect(words.update("sea sure it")).toBe("sea sure");
  expect(words.update("seashore it was")).toBeUndefined();
  expect(words.finish("seashore it was calm")).toBe(" was calm");
});

test("an empty result sends nothing", () => {
  const words = new InterimWords();
  expect(words.update("")).toBeUndefined();
  expect(words.finish("  ")).toBeUndefined();
});
