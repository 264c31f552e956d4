import { describe, expect, test } from "bun:test";
import { STAGES } from "../domain/stage.ts";
import { BUILTIN_CATALOG } from "./builtin-catalog.ts";
import type { Machine } from "./machine.ts";
import { recommend } from "./recommend.ts";

const GIB = 2 ** 30;
const FAST = { multiplyAddsPerSecond: 1e12, bytesPerSecond: 1e11 };
const SLOW = { multiplyAddsPerSecond: 1e8, bytesPerSecond: 1e8 };

function machine(memory: number, change: Partial<Machine> = {}): Machine {
  return { memory: memory * GIB, speed: FAST, measured: {}, ...change };
}

function chosen(one: Machine, language = "en") {
  const { models } = recommend(BUILTIN_CATALOG, one, language);
  return STAGES.map((stage) => models[stage]?.id);
}

/** A stage's models with what they take, by id. */
function memoryOf(ids: readonly (string | undefined)[]): number {
  const used = BUILTIN_CATALOG.filter(({ id }) => ids.includes(id));
  return used.reduce((total, model) => total + model.memory, 0);
}

describe("what is recommended", () => {
  test("is large for a fast machine with memory, and smaller for one with less", () => {
    const sizes = (ids: readonly (string | undefined)[]) =>
      BUILTIN_CATALOG.filter(({ id }) => ids.includes(id)).map(({ size }) => size);
    expect(sizes(chosen(machine(32)))).toEqual(["large", "large", "large"]);
    expect(memoryOf(chosen(machine(4)))).toBeLessThan(memoryOf(chosen(machine(32))));
  });

  test("fits into free memory together, or the machine is called too small", () => {
    for (let memory = 0.25; memory <= 32; memory += 0.25) {
      for (const language of ["en", "de", "tr", "zh"]) {
        const one = machine(memory);
        const fits = memoryOf(chosen(one, language)) <= memory * GIB - GIB / 2;
        const { warning } = recommend(BUILTIN_CATALOG, one, language);
        expect({ memory, language, fits }).toEqual({
          memory,
          language,
          fits: warning === undefined,
        });
      }
    }
  });

  test("says how much memory is missing, and what to do", () => {
    const { warning } = recommend(BUILTIN_CATALOG, machine(1), "en");
    expect(warning).toMatch(
      /^This machine has 1\.1 GB of free memory, and even the smallest models need \d\.\d GB\. Close .* OpenAI key\.$/,
    );
  });

  test("is the smallest on a slow machine, with a word on how slow and what to do", () => {
    const slow = machine(16, { speed: SLOW });
    expect(memoryOf(chosen(slow))).toBeLessThan(3 * GIB);
    const { warning } = recommend(BUILTIN_CATALOG, slow, "en");
    expect(warning).toMatch(/^This machine is too slow .* with \S.*\. Use a server such as Ollama/);
    expect(warning).not.toContain("hoose a smaller");
  });

  test.each(["de", "fr-CH", "tr", "ar", "hi", "zh", "uk", "ja", "pt-BR"])(
    "knows the person's language, %s",
    (language) => {
      const { models, warning } = recommend(BUILTIN_CATALOG, machine(8), language);
      expect(warning).toBeUndefined();
      for (const stage of STAGES) expect(models[stage]?.reason).toStartWith("It knows ");
    },
  );

  test("is something in any case, and says if no model knows the language", () => {
    const { models, warning } = recommend(BUILTIN_CATALOG, machine(8), "mi");
    expect(Object.keys(models).toSorted()).toEqual(["llm", "stt", "tts"]);
    expect(warning).toMatch(/^No .* in the catalogue knows M.ori\. Use/);
  });

  test("follows what was measured rather than an estimate", () => {
    const [, best = ""] = chosen(machine(32));
    const measured = {
      [best]: {
        promptTokensPerSecond: 2,
        generationTokensPerSecond: 1,
        loadMs: 1,
        measuredAt: "2026-01-01T00:00:00Z",
      },
    };
    const [, other] = chosen(machine(32, { measured }));
    expect(other).not.toBe(best);
    const memory = { loadMs: 1, measuredAt: "2026-01-01T00:00:00Z", memory: 31 * GIB };
    const greedy = {
      [best]: { ...memory, promptTokensPerSecond: 1e4, generationTokensPerSecond: 1e3 },
    };
    expect(chosen(machine(31, { measured: greedy }))[1]).not.toBe(best);
  });

  test("has no model of a stage that the catalogue has none of", () => {
    const voices = BUILTIN_CATALOG.filter(({ stage }) => stage === "tts");
    expect(Object.keys(recommend(voices, machine(8), "en").models)).toEqual(["tts"]);
    expect(recommend([], machine(8), "en").models).toEqual({});
  });
});
