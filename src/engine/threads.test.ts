import { expect, test } from "bun:test";
import { STAGES } from "../domain/stage.ts";
import { threadsFor } from "./threads.ts";

test.each([
  [0, [1, 1, 1]],
  [1, [1, 1, 1]],
  [2, [1, 1, 1]],
  [4, [2, 3, 1]],
  [8, [4, 6, 2]],
  [32, [4, 30, 2]],
])(
  "%d processors are shared, so that a voice and a language model never wait for each other",
  (budget, expected) => {
    expect(STAGES.map((stage) => threadsFor(stage, budget))).toEqual(expected);
  },
);
