import { expect, test } from "bun:test";
import { BUILTIN_CATALOG } from "./builtin-catalog.ts";
import { recommended } from "./recommend.ts";

const GIB = 2 ** 30;
const chosen = (memory: number, cores: number) => {
  const { stt, llm, tts } = recommended(BUILTIN_CATALOG, { memory: memory * GIB, cores });
  return [stt, llm, tts];
};

test("an ordinary machine gets a language model of 1 to 3 billion parameters", () => {
  const usual = ["moonshine-base-en", "qwen2.5-1.5b-instruct", "piper-en-us-ljspeech-medium"];
  expect(chosen(8, 4)).toEqual(usual);
  expect(chosen(4.5, 2)).toEqual(usual);
  expect(chosen(64, 4)).toEqual(usual);
});

test("a small one gets what fits, a large one with many cores the best", () => {
  const small = ["moonshine-tiny-en", "qwen2.5-0.5b-instruct", "piper-en-us-ljspeech-medium"];
  expect(chosen(3, 2)).toEqual(small);
  expect(chosen(1, 1)).toEqual(small);
  expect(chosen(8, 6)).toEqual([
    "moonshine-base-en",
    "qwen2.5-1.5b-instruct",
    "piper-en-gb-cori-high",
  ]);
  expect(chosen(32, 16)).toEqual([
    "parakeet-tdt-0.6b-v3",
    "qwen3-4b-instruct-2507",
    "kokoro-en-v0.19",
  ]);
});

test("together they leave memory for other programs", () => {
  for (let memory = 3; memory <= 64; memory += 0.5) {
    for (const cores of [1, 2, 4, 8, 32]) {
      const ids = chosen(memory, cores);
      const used = BUILTIN_CATALOG.filter(({ id }) => ids.includes(id));
      const sum = used.reduce((total, model) => total + model.memory, 0);
      expect({ memory, fits: sum <= Math.max(1.5, memory - 2) * GIB }).toEqual({
        memory,
        fits: true,
      });
    }
  }
});

test("a catalogue without models of a stage recommends none for it", () => {
  const voices = BUILTIN_CATALOG.filter(({ stage }) => stage === "tts");
  expect(Object.keys(recommended(voices, { memory: 8 * GIB, cores: 4 }))).toEqual(["tts"]);
  expect(recommended([], { memory: 8 * GIB, cores: 4 })).toEqual({});
});
