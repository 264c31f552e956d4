import { describe, expect, test } from "bun:test";
import { contextRefusal, describedModel, limitIn } from "./context-limit.ts";

/** Refusals as servers word them, with the limit and the tokens that they count. */
const REFUSALS: [text: string, limit: number | undefined, requested: number | undefined][] = [
  [
    "This model's maximum context length is 4097 tokens, however you requested 5000 tokens (4500 in your prompt; 500 for the completion). Please reduce your prompt.",
    4097,
    5000,
  ],
  [
    '{"error":{"code":400,"message":"request (4390 tokens) exceeds the available context size (4096 tokens), try increasing it","type":"exceed_context_size_error","n_prompt_tokens":4390,"n_ctx":4096}}',
    4096,
    4390,
  ],
  ['{"error":{"code":500,"message":"Context size has been exceeded."}}', undefined, undefined],
  [
    "Trying to keep the first 15857 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, which is not enough.",
    4096,
    15_857,
  ],
  ["The input (5000 tokens) is longer than the model's context length (4096 tokens).", 4096, 5000],
  ["Input length (5000 tokens) exceeds the maximum allowed length (4096 tokens).", 4096, 5000],
  ["The decoder prompt (length 5000) is longer than the maximum model length of 4096.", 4096, 5000],
  [
    "'max_tokens' or 'max_completion_tokens' is too large: 512. This model's maximum context length is 4096 tokens and your request has 3900 input tokens.",
    4096,
    undefined,
  ],
  ["`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens", 4096, 5000],
  ["prompt is too long: 208310 tokens > 200000 maximum", 200_000, 208_310],
  [
    "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    1_048_576,
    1_200_000,
  ],
  [
    "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
    32_768,
    40_000,
  ],
  ["Prompt length 5000 is greater than max_seq_len 4096", 4096, 5000],
  ["Requested tokens (2285) exceed context window of 2048", 2048, 2285],
  ["Please reduce the length of the messages or completion.", undefined, undefined],
];

test.each(REFUSALS)("%j is a refusal for its length", (text, limit, requested) => {
  expect(contextRefusal(400, text)).toEqual({ limit, requested });
});

test("a limit per minute is one only if the request alone exceeds it", () => {
  const tpm = "Request too large for model on tokens per minute (TPM): Limit 6000, Requested 7000";
  expect(contextRefusal(413, tpm)).toEqual({ limit: 6000, requested: 7000 });
  expect(contextRefusal(429, "Rate limit reached: Limit 6000 tokens, Used 5900")).toBeUndefined();
});

test.each([
  "Unrecognized request argument supplied: reasoning_effort",
  "The model `llama` does not exist",
  "Conversation roles must alternate user/assistant/user/assistant/...",
  "System role not supported",
])("%j is none", (text) => {
  expect(contextRefusal(400, text)).toBeUndefined();
});

describe("the size of a context that a server describes", () => {
  test("is found under each server's name for it", () => {
    expect(limitIn({ id: "m", max_model_len: 4096 })).toBe(4096);
    expect(limitIn({ id: "m", context_window: "8192" })).toBe(8192);
    expect(limitIn({ top_provider: { context_length: 100_000 } })).toBe(100_000);
    expect(limitIn({ default_generation_settings: { n_ctx: 2048 }, model: "m" })).toBe(2048);
    expect(limitIn({ id: "m", meta: { n_ctx_train: 32_768 } })).toBe(32_768);
    expect(limitIn({ max_context_length: 131_072, loaded_context_length: 4096 })).toBe(4096);
    expect(limitIn({ id: "m", created: 1_700_000_000 })).toBeUndefined();
  });

  test("is that of the model by its name, or of the only one", () => {
    const list = { object: "list", data: [{ id: "a" }, { id: "b", max_model_len: 1 }] };
    expect(describedModel(list, "b")).toEqual({ id: "b", max_model_len: 1 });
    expect(describedModel(list, "c")).toBeUndefined();
    expect(describedModel({ models: [{ name: "x" }] }, "c")).toEqual({ name: "x" });
    expect(describedModel("nothing", "c")).toBeUndefined();
  });
});
