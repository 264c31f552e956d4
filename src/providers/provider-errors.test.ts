import { describe, expect, test } from "bun:test";
import { APIConnectionTimeoutError, APIError } from "openai";
import { statusOf } from "../errors.ts";
import { AnswerError, describeProviderError, redactProviderError } from "./provider-errors.ts";

const STAGES = ["stt", "llm", "tts"] as const;
const KEY = "sk-proj-verysecret";

/** Failures as they arrive, each quoting the key wherever a provider could. */
const CASES: [what: string, error: unknown, code: string, says: RegExp][] = [
  ["an empty answer", new AnswerError("empty"), "provider_empty", /answered nothing\./],
  ["MP3 in disguise", { cause: new AnswerError("format", "MP3") }, "provider_format", /\(MP3\)/],
  ["a refused key", hostile(401), "provider_unauthorized", /refused the API key \(401\)/],
  ["a key without the right", hostile(403), "provider_unauthorized", /refused the API key \(403\)/],
  ["an unknown model or address", hostile(404), "provider_not_found", /_MODEL and .*_BASE_URL/],
  ["a used-up quota", hostile(429), "provider_rate_limited", /rate limit or quota/],
  ["a bad request", hostile(400), "provider_failed", /an error \(400\)/],
  ["an error of the server", hostile(500), "provider_failed", /an error \(500\)/],
  ["an overloaded server", hostile(529), "provider_failed", /an error \(529\)/],
  ["silence", new APIConnectionTimeoutError(), "provider_timeout", /in time/],
  ["silence of ours", named("ProviderTimeout"), "provider_timeout", /in time/],
  [
    "silence below",
    new Error(KEY, { cause: named("TimeoutError") }),
    "provider_timeout",
    /in time/,
  ],
  [
    "a status below",
    new Error(KEY, { cause: { statusCode: 401 } }),
    "provider_unauthorized",
    /401/,
  ],
  ["a broken connection", new Error(`ECONNRESET ${KEY}`), "provider_unreachable", /broke/],
  ["a text", KEY, "provider_unreachable", /broke/],
  ["nothing", undefined, "provider_unreachable", /broke/],
  ["null", null, "provider_unreachable", /broke/],
];

function hostile(status: number): APIError {
  const body = { message: `Incorrect API key provided: ${KEY}`, code: KEY, type: KEY };
  return APIError.generate(status, { error: body }, KEY, new Headers({ "x-request-id": KEY }));
}

function named(name: string): Error {
  return Object.assign(new Error(KEY), { name });
}

test.each(CASES)("%s has a stable code and words that help", (_what, error, code, says) => {
  for (const stage of STAGES) {
    const problem = describeProviderError(stage, error);
    expect(problem).toEqual({ code, message: expect.stringMatching(says) });
    expect(problem.message).toEndWith(".");
  }
});

test("nothing that a provider wrote is repeated, so no key in it either", () => {
  for (const [, error] of CASES) {
    for (const stage of STAGES) {
      expect(JSON.stringify(describeProviderError(stage, error))).not.toContain("sk-");
    }
  }
});

test("the message names the stage and the variables that belong to it", () => {
  const said = STAGES.map((stage) => describeProviderError(stage, { status: 401 }).message);
  expect(said[0]).toMatch(/^Speech recognition .*STT_API_KEY or OPENAI_API_KEY/);
  expect(said[1]).toMatch(/^The language model .*LLM_API_KEY or OPENAI_API_KEY/);
  expect(said[2]).toMatch(/^The voice .*TTS_API_KEY or OPENAI_API_KEY/);
});

describe("statusOf", () => {
  test("finds the nearest status along the causes", () => {
    expect(statusOf({ status: 401 })).toBe(401);
    expect(statusOf({ statusCode: 429 })).toBe(429);
    expect(statusOf({ cause: { cause: { status: 500 } } })).toBe(500);
    expect(statusOf({ status: 503, cause: { status: 401 } })).toBe(503);
  });

  test("takes nothing else for one", () => {
    for (const error of [{}, { status: "401" }, { status: -1 }, { status: 0 }, 401, "x", null]) {
      expect(statusOf(error)).toBeUndefined();
    }
  });

  test("ends with causes that go round in a circle", () => {
    const error: { cause?: unknown } = {};
    error.cause = error;
    expect(statusOf(error)).toBeUndefined();
    expect(describeProviderError("llm", error).code).toBe("provider_unreachable");
  });
});

describe("redactProviderError", () => {
  test.each(CASES)("%s keeps its meaning and loses the provider's words", (_what, error, code) => {
    const own = redactProviderError("speech recognition", error);
    expect(describeProviderError("stt", own).code).toBe(code);
    expect(`${own.message} ${own.stack} ${JSON.stringify(own)}`).not.toContain(KEY);
    expect(own.cause).toBeUndefined();
  });

  test.each([
    [`Incorrect API key provided: ${KEY}`, 401],
    ["Unexpected server response: 403", 403],
    ["Rate limit reached for gpt-realtime-whisper", 429],
    ["You exceeded your current quota", 429],
    ["The server had an error while processing your request", 500],
    ["connect ECONNREFUSED 127.0.0.1:1", undefined],
  ])("of a WebSocket, which has words alone, %p means %p", (words, status) => {
    expect(statusOf(redactProviderError("speech recognition", new Error(words)))).toBe(status);
  });
});
