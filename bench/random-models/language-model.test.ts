import { expect, test } from "bun:test";
import { bytesOf } from "../../src/domain/catalog.ts";
import { BUILTIN_CATALOG } from "../../src/models/builtin-catalog.ts";
import { sizeOf } from "./language-model.ts";
import { SHAPES } from "./shapes.ts";

const MB = 1e6;
/** What a file holds besides its tensors: its words and how they are joined. */
const WORDS_MB = 16;

test("each language model of the catalogue has a shape whose tensors are as large as its file", () => {
  const models = BUILTIN_CATALOG.filter(({ stage }) => stage === "llm");
  expect(models.length).toBeGreaterThan(2);
  for (const model of models) {
    const shape = SHAPES[model.id];
    if (!shape) throw new Error(`bench/random-models/shapes.ts has no shape of ${model.id}`);
    const besides = (bytesOf(model) - sizeOf(shape)) / MB;
    expect(besides, model.id).toBeGreaterThan(0);
    expect(besides, model.id).toBeLessThan(WORDS_MB);
  }
});
