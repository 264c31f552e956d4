import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { APIConnectionTimeoutError, APIError } from "openai";
import { type StandIn, startStandIn } from "../../test/stand-in/openai.ts";
import { refuses, SERVER_ERRORS, type ServerError } from "../../test/stand-in/quirks/errors.ts";
import type { Stage } from "../domain/stage.ts";
import { statusOf } from "../errors.ts";
import { createProviderClient } from "./provider-client.ts";
import {
  AnswerError,
  describeProviderError,
  fallbackNotice,
  redactProviderError,
} from "./provider-errors.ts";
import { type ProviderSource, sourceOf } from "./provider-source.ts";

const STAGES = ["stt", "llm", "tts"] as const;
const KEY = "sk-proj-verysecret";

/** Failures as they arrive, each quoting the key wherever a provider could. */
const CASES: [what: string, error: unknown, code: string, says: RegExp][] = [
  ["an empty answer", new AnswerError("empty"), "provider_empty", /answered nothing\./],
  ["MP3 in disguise", { cause: new AnswerError("format", "MP3") }, "provider_format", /\(MP3\)/],
  [
    "an error in a good answer",
    new AnswerError("error_body", undefined, hostileBody("The model `x` does not exist")),
    "provider_model_unknown",
    /does not know the model\. Check/,
  ],
  [
    "an unknown error in a good answer",
    new AnswerError("error_body", undefined, hostileBody("Hm")),
    "provider_error_body",
    /answered with an error\. /,
  ],
  ["a refused key", hostile(401), "provider_unauthorized", /refused the API key \(401\)/],
  ["a key without the right", hostile(403), "provider_unauthorized", /refused the API key/],
  ["an unknown model or address", hostile(404), "provider_not_found", /_MODEL and .*_BASE_URL/],
  ["a rate limit", hostile(429), "provider_rate_limited", /rate limit .*\(429\)/],
  ["a bad request", hostile(400), "provider_rejected", /may not know the model.*\(400\)/],
  ["an error of the server", hostile(500), "provider_failed", /an error \(500\)/],
  ["an overloaded server", hostile(529), "provider_failed", /overloaded.*\(529\)/],
  ["a gateway", hostile(502), "provider_failed", /the server behind it \(502\)/],
  ["a slow gateway", hostile(504), "provider_timeout", /too long \(504\)/],
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
  ["a broken connection", failed("ECONNRESET"), "provider_unreachable", /broke/],
  ["nobody listens", failed("ECONNREFUSED"), "provider_unreachable", /nothing listens there/],
  ["no such host", failed("ENOTFOUND"), "provider_unreachable", /no such host/],
  ["no way there", failed("EHOSTUNREACH"), "provider_unreachable", /from this network/],
  [
    "an unknown authority",
    failed("UNABLE_TO_VERIFY_LEAF_SIGNATURE"),
    "provider_unreachable",
    /certificate/,
  ],
  ["an old certificate", failed("CERT_HAS_EXPIRED"), "provider_unreachable", /certificate/],
  ["plain HTTP", failed("EPROTO"), "provider_unreachable", /does not speak HTTPS/],
  ["a text", KEY, "provider_unreachable", /broke/],
  ["nothing", undefined, "provider_unreachable", /broke/],
  ["null", null, "provider_unreachable", /broke/],
];

function hostile(status: number): APIError {
  const body = { message: KEY, code: KEY, type: KEY };
  return APIError.generate(status, { error: body }, KEY, new Headers({ "x-request-id": KEY }));
}

function hostileBody(message: string): APIError {
  return new APIError(undefined, { message: `${message} ${KEY}` }, undefined, new Headers());
}

function named(name: string): Error {
  return Object.assign(new Error(`timed out ${KEY}`), { name });
}

function failed(code: string): Error {
  return new Error(KEY, { cause: Object.assign(new TypeError(`${code}: ${KEY}`), { code }) });
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

describe("a server's refusal", () => {
  let standIn: StandIn;
  beforeAll(async () => {
    standIn = await startStandIn();
  });
  afterAll(() => standIn[Symbol.asyncDispose]());

  /** What a request of a stage fails with at a server that refuses it. */
  async function failureAt(error: ServerError): Promise<unknown> {
    standIn.quirks = [refuses(error)];
    const client = createProviderClient({ baseURL: standIn.url, apiKey: KEY });
    const request: Record<Stage, () => Promise<unknown>> = {
      stt: async () =>
        client.audio.transcriptions.create({ file: new File(["x"], "a.wav"), model: "m" }),
      llm: async () => client.chat.completions.create({ model: "m", messages: [], stream: true }),
      tts: async () => client.audio.speech.create({ model: "m", voice: "v", input: "Hello." }),
    };
    return request[error.stage]().catch((thrown: unknown) => thrown);
  }

  const sourceFor = (stage: Stage): ProviderSource => {
    const endpoint = {
      baseURL: standIn.url,
      apiKey: KEY,
      fixedBy: `${stage.toUpperCase()}_BASE_URL`,
    };
    return sourceOf(stage, { ...endpoint, model: "MODEL", voice: "VOICE" });
  };

  test.each(SERVER_ERRORS.map((error) => [error.name, error] as const))("%s", async (_, error) => {
    const { stage, code, says } = error;
    const thrown = await failureAt(error);
    const source = sourceFor(stage);
    const problem = describeProviderError(stage, thrown, source);
    expect(problem).toEqual({ code, message: expect.stringMatching(says) });
    expect(problem.message).toContain(new URL(standIn.url).host);
    // Saying it again helps only where the server may do better next time.
    expect(problem.message.includes("say it again")).toBe(code === "provider_failed");
    expect(describeProviderError(stage, redactProviderError(stage, thrown), source)).toEqual(
      problem,
    );
  });

  test("is never quoted: a mark in every text of the body appears nowhere", async () => {
    const mark = `mark${crypto.randomUUID()}`;
    for (const error of SERVER_ERRORS) {
      const thrown = await failureAt({ ...error, body: marked(error.body, mark) });
      const redacted = redactProviderError(error.stage, thrown);
      const said = [
        describeProviderError(error.stage, thrown, sourceFor(error.stage)),
        describeProviderError(error.stage, redacted, sourceFor(error.stage)),
        `${redacted.message} ${redacted.stack} ${JSON.stringify(redacted)}`,
      ];
      expect(JSON.stringify(said)).not.toContain(mark);
    }
  });
});

/** The same body with the mark at the end of each of its texts. */
function marked(value: unknown, mark: string): unknown {
  if (typeof value === "string") return `${value} ${mark}`;
  if (Array.isArray(value)) return value.map((one) => marked(one, mark));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, marked(one, mark)]));
}

describe("the one thing to change", () => {
  const openAi = { baseURL: "https://api.openai.com/v1", apiKey: KEY, model: "gpt-9" };
  const unknownModel = hostileBody("The model `gpt-9` does not exist");
  const say = (
    provider: Parameters<typeof sourceOf>[1],
    requested = {},
    error: unknown = unknownModel,
  ) => describeProviderError("llm", error, sourceOf("llm", provider, requested)).message;

  test("is on the Models page, unless a variable decides", () => {
    expect(say(openAi)).toBe(
      "The language model failed: OpenAI does not know the model “gpt-9”. Choose another model on the Models page.",
    );
    expect(say({ ...openAi, fixedBy: "OPENAI_API_KEY" })).toEndWith("Check LLM_MODEL.");
    expect(say({ ...openAi, fixedBy: "LLM_FALLBACK_BASE_URL" })).toEndWith(
      "Check LLM_FALLBACK_MODEL.",
    );
  });

  test("is in the conversation's settings when its model was chosen there", () => {
    const message = say(openAi, { model: "gpt-8" });
    expect(message).toContain("the model “gpt-8”");
    expect(message).toEndWith("Choose another model in the conversation's settings.");
  });

  test("is the key that is missing or wrong, by the variable that holds it", () => {
    const refused = { status: 401 };
    expect(say(openAi, {}, refused)).toEndWith(
      "OpenAI refused the API key (401). Check the API key on the Models page.",
    );
    expect(say({ ...openAi, fixedBy: "OPENAI_BASE_URL" }, {}, refused)).toEndWith(
      "Check OPENAI_API_KEY.",
    );
    expect(say({ ...openAi, fixedBy: "LLM_BASE_URL", apiKey: undefined }, {}, refused)).toEndWith(
      "wants an API key, and none is set (401). Set LLM_API_KEY.",
    );
  });

  test("after a silence is to say it again only where the server has worked before", () => {
    const silence = new APIConnectionTimeoutError();
    const source = sourceOf("llm", openAi);
    const worked = describeProviderError("llm", silence, { ...source, hasWorked: true });
    const never = describeProviderError("llm", silence, { ...source, hasWorked: false });
    expect(worked.message).toEndWith("Please say it again.");
    expect(never.message).toEndWith(
      "Check that it is running, and check the address on the Models page.",
    );
  });
});

test("a second provider that takes over is told with both names and the reason", () => {
  const first = sourceOf("llm", {
    baseURL: "http://10.0.0.1:8000/v1",
    apiKey: undefined,
    model: "a",
  });
  const engine = { baseURL: "http://127.0.0.1:1/v1", apiKey: "x", isEngine: true, model: "b" };
  expect(fallbackNotice("llm", first, sourceOf("llm", engine), failed("ECONNREFUSED"))).toEqual({
    code: "provider_fallback",
    stage: "llm",
    transient: false,
    message:
      "The language model: 10.0.0.1:8000 cannot be reached: nothing listens there. Now this machine answers.",
  });
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
    const own = redactProviderError("stt", error);
    expect(describeProviderError("stt", own).code).toBe(code);
    expect(`${own.message} ${own.stack} ${JSON.stringify(own)}`).not.toContain(KEY);
    expect(JSON.stringify(own.cause ?? null)).not.toContain(KEY);
  });

  test.each([
    [`Incorrect API key provided: ${KEY}`, 401],
    ["Unexpected server response: 403", 403],
    ["Rate limit reached for gpt-realtime-whisper", 429],
    ["You exceeded your current quota", 429],
    ["The server had an error while processing your request", 500],
    ["connect ECONNREFUSED 127.0.0.1:1", undefined],
  ])("of a WebSocket, which has words alone, %p means %p", (words, status) => {
    expect(statusOf(redactProviderError("stt", new Error(words)))).toBe(status);
  });
});
