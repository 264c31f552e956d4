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

test("words are not repeated or lost where a later result has more or fewer words for them", () => {
  const words = new InterimWords();
  words.update("I went to the library");
  expect(words.update("I went to the library and")).toBe("I went to the library");
  expect(words.update("I went to to the library and bought a book")).toBe(" and");
  expect(words.update("I went to to the library and bought a book today")).toBe(" bought a book");
  expect(words.finish("I went the library and bought a book today")).toBe(" today");
});

test("scripts without spaces are sent character by character", () => {
  const words = new InterimWords();
  words.update("今日は");
  expect(words.update("今日はいい")).toBe("今日は");
  expect(words.finish("今日はいい天気")).toBe("いい天気");
});
