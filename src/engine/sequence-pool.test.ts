import { expect, test } from "bun:test";
import type { LlamaContext, Token } from "node-llama-cpp";
import { PromptReader } from "./prompt-reader.ts";
import { SequencePool } from "./sequence-pool.ts";

/** A pool of sequences whose KV caches hold these tokens. */
function poolOf(...caches: number[][]): SequencePool {
  const sequences = caches.map((tokens) => ({
    contextTokens: tokens,
    nextTokenIndex: tokens.length,
  }));
  const context = {
    totalSequences: caches.length,
    getSequence: () => sequences.shift(),
    model: {
      fileInsights: { isRecurrent: false, isHybrid: false },
      fileInfo: { metadata: { general: { architecture: "llama" } }, architectureMetadata: {} },
    },
  } as unknown as LlamaContext;
  return new SequencePool(context, new PromptReader(context));
}

async function taken(pool: SequencePool, tokens: number[], instructionTokens: number) {
  const request = { tokens: tokens as Token[], instructionTokens, client: undefined };
  return [...(await pool.acquire(request)).sequence.contextTokens].map(Number);
}

const INSTRUCTIONS = [1, 2, 3, 4, 5, 6];

test("a conversation goes on with the cache that holds most of it", async () => {
  const pool = poolOf([], [...INSTRUCTIONS, 7, 8], [...INSTRUCTIONS, 7, 8, 9]);
  expect(await taken(pool, [...INSTRUCTIONS, 7, 8, 9, 10], 6)).toEqual([...INSTRUCTIONS, 7, 8, 9]);
});

test("a new conversation with the same instructions leaves another's cache alone", async () => {
  const pool = poolOf([...INSTRUCTIONS, 7, 8], []);
  expect(await taken(pool, [...INSTRUCTIONS, 20], 6)).toEqual([]);
});

test("instructions that were read in part, before their request was aborted, are read on", async () => {
  const pool = poolOf([], [1, 2, 3]);
  expect(await taken(pool, [...INSTRUCTIONS, 7], 6)).toEqual([1, 2, 3]);
});
