import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { initializeLogger, llm } from "@livekit/agents";
import type { Notice } from "../../src/domain/transcript.ts";
import { ModelMemory } from "../../src/providers/model-memory.ts";
import { type StandIn, startStandIn } from "../../test/stand-in/openai.ts";
import {
  CALLS_A_TOOL,
  CHUNKS,
  ColdModel,
  chunk,
  KNOWN_FIELDS_ONLY,
  NO_SYSTEM,
  onChunks,
  onWire,
  SHAPES,
  STAYS_OPEN,
  STRICT_ROLES,
  smallContext,
  THOUGHTS,
  TOO_LONG,
  WHOLE_BODY,
  WIRE,
} from "../../test/stand-in/quirks/llm.ts";
import type { Quirk } from "../../test/stand-in/quirks.ts";
import { describeProviderError } from "../providers/provider-errors.ts";
import { type ProviderSource, unknownSource } from "../providers/provider-source.ts";
import { ChatLlm, type ChatLlmOptions } from "./chat-llm.ts";
import { RETRACTED } from "./chat-messages.ts";

const ANSWER = "Hello Ada. Grüße, 你好 😀!";
const CONNECTION = { maxRetry: 0, retryIntervalMs: 0, timeoutMs: 20_000 };

let ai: StandIn;
beforeAll(async () => {
  initializeLogger({ pretty: false, level: "silent" });
  ai = await startStandIn();
});
afterAll(() => ai[Symbol.asyncDispose]());

const notices: Notice[] = [];
beforeEach(() => {
  notices.length = 0;
  ai.quirks = [];
  ai.reply = () => ANSWER;
  ai.heal();
});

function model(more: Partial<ChatLlmOptions> & { name?: string } = {}): ChatLlm {
  const { name = "m", ...options } = more;
  return new ChatLlm({
    first: { baseURL: ai.url, apiKey: "k", model: name },
    second: undefined,
    thinking: "auto",
    memory: new ModelMemory(),
    onNotice: (notice) => notices.push(notice),
    ...options,
  });
}

function history(...said: string[]): llm.ChatContext {
  const context = llm.ChatContext.empty();
  context.addMessage({ role: "system", content: "Be brief." });
  for (const [at, content] of said.entries()) {
    context.addMessage({ role: at % 2 === 0 ? "user" : "assistant", content });
  }
  return context;
}

/** What was answered, as people get it, or the failure's code. */
async function answer(chat: ChatLlm, chatCtx = history("Hi.")): Promise<string> {
  let failure: unknown;
  const onError = ({ error }: { error: unknown }) => {
    failure = error;
  };
  chat.on("error", onError);
  let text = "";
  for await (const { delta } of chat.chat({ chatCtx, connOptions: CONNECTION })) {
    text += delta?.content ?? "";
    if (typeof delta?.extra?.[RETRACTED] === "string") text = "";
  }
  chat.off("error", onError);
  return failure === undefined ? text : describeProviderError("llm", failure).code;
}

function requests() {
  return ai.requests.filter(({ stage }) => stage === "llm");
}

describe("every well-meant answer arrives exactly", () => {
  test.each([
    ...WIRE,
    ...CHUNKS,
    ...SHAPES,
    ...THOUGHTS,
    WHOLE_BODY,
    STAYS_OPEN,
    STRICT_ROLES,
    NO_SYSTEM,
    KNOWN_FIELDS_ONLY,
  ])("with $name", async (quirk) => {
    ai.quirks = [quirk];
    expect(await answer(model())).toBe(ANSWER);
    expect(await answer(model({ name: "qwq" }))).toBe(ANSWER);
  });

  test("however the quirks are combined", async () => {
    const seed = Number(Bun.env["SEED"] ?? Math.floor(Math.random() * 1e9));
    const random = generator(seed);
    const some = (quirks: readonly Quirk[], most: number) =>
      quirks.filter(() => random() < most / quirks.length);
    for (let round = 0; round < 60; round++) {
      const quirks = [
        ...some(WIRE, 2),
        ...some(SHAPES, 0.7).slice(0, 1),
        ...some(CHUNKS, 2),
        ...some(THOUGHTS, 0.7).slice(0, 1),
        ...some([STRICT_ROLES, NO_SYSTEM, KNOWN_FIELDS_ONLY], 1),
      ];
      ai.quirks = quirks;
      const name = random() < 0.5 ? "m" : "deepseek-r1";
      const text = await answer(model({ name }), history("Hi.", "Yes?", "Go on."));
      const names = quirks.map((one) => one.name);
      expect({ seed, round, name, names, text }).toEqual({
        seed,
        round,
        name,
        names,
        text: ANSWER,
      });
    }
  }, 60_000);
});

/** Numbers from 0 to 1 that a seed decides (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const origin = { name: "", report: "livekit/agents#2928" };
const NO_ANSWERS: [what: string, quirk: Quirk, code: string][] = [
  ["an empty answer", onChunks(origin, () => [chunk({}, "stop")]), "provider_empty"],
  [
    "nothing but thoughts",
    onChunks(origin, () => [chunk({ reasoning_content: "hm" }), chunk({}, "length")]),
    "provider_cut",
  ],
  ["a filter", onChunks(origin, () => [chunk({}, "content_filter")]), "provider_declined"],
  ["a refusal", onChunks(origin, () => [chunk({ refusal: "No." }, "stop")]), "provider_declined"],
  [
    "an error as the body",
    onWire(origin, () => '{"error":{"message":"model not loaded"}}', "application/json"),
    "provider_model_unknown",
  ],
  [
    "an error in the stream",
    onWire(origin, (text) => `data: {"error":"boom"}\n\n${text}`),
    "provider_error_body",
  ],
  ["a page", onWire(origin, () => "<html>Welcome</html>", "text/html"), "provider_not_found"],
];

test.each(NO_ANSWERS)("%s is a failure that is told", async (_, quirk, code) => {
  ai.quirks = [quirk];
  expect(await answer(model())).toBe(code);
});

test("words before the limit of length are heard, and it is told", async () => {
  ai.quirks = [onChunks(origin, () => [chunk({ content: "Hello" }), chunk({}, "length")])];
  expect(await answer(model())).toBe("Hello");
  expect(notices.map(({ code }) => code)).toEqual(["answer_cut"]);
});

test("a model that calls a tool nobody offered is asked once more", async () => {
  ai.quirks = [CALLS_A_TOOL];
  const before = requests().length;
  expect(await answer(model())).toBe("provider_empty");
  expect(requests().length - before).toBe(2);
});

describe("thoughts", () => {
  const thinks = onChunks(origin, (chunks) => [
    chunk({ content: "I should greet." }),
    chunk({ content: "</thi" }),
    chunk({ content: "nk>\n" }),
    ...chunks,
  ]);

  test("that were shown before their end are taken back, and not shown the next time", async () => {
    ai.quirks = [thinks];
    const memory = new ModelMemory();
    const parts: string[] = [];
    for (const chat of [model({ memory }), model({ memory })]) {
      let first: string | undefined;
      const stream = chat.chat({ chatCtx: history("Hi."), connOptions: CONNECTION });
      for await (const { delta } of stream) first ??= delta?.content;
      parts.push(first ?? "");
    }
    expect(parts[0]).toBe("I should greet.");
    expect(ANSWER).toStartWith(parts[1] ?? "-");
  });

  test("are not asked for, unless the setting says so", async () => {
    const sent: unknown[] = [];
    ai.quirks = [
      {
        ...origin,
        path: /chat/,
        answer: async (request, next) => {
          const body = (await request.clone().json()) as Record<string, unknown>;
          sent.push([body["reasoning_effort"], body["chat_template_kwargs"]]);
          return next(request);
        },
      },
    ];
    await answer(model({ name: "qwen3:8b" }));
    await answer(model({ name: "llama3.2" }));
    await answer(model({ name: "llama3.2", thinking: "off" }));
    await answer(model({ name: "qwen3:8b", thinking: "on" }));
    const asked = ["none", { enable_thinking: false, thinking: false }];
    const not = [undefined, undefined];
    expect(sent).toEqual([asked, not, asked, not]);
  });
});

test("an answer that comes as a thought, because none was wanted, is asked for again", async () => {
  ai.quirks = [
    {
      ...origin,
      path: /chat/,
      answer: async (request, next) => {
        const body = (await request.clone().json()) as Record<string, unknown>;
        if (!("chat_template_kwargs" in body)) return next(request);
        const choices = [
          { message: { content: null, reasoning_content: ANSWER }, finish_reason: "stop" },
        ];
        return Response.json({ choices });
      },
    },
  ];
  expect(await answer(model({ name: "qwen3:8b" }))).toBe(ANSWER);
});

describe("a conversation that is too long", () => {
  const long = Array.from(
    { length: 41 },
    (_, at) => `This is part ${at} of the long talk we have.`,
  );

  test.each(Object.keys(TOO_LONG))("is trimmed in whole turns, at %s", async (server) => {
    ai.quirks = [STRICT_ROLES, smallContext(120, server)];
    const chat = model();
    expect(await answer(chat, history(...long))).toBe(ANSWER);
    const sent = requests().at(-1)?.messages ?? [];
    expect(sent[0]).toEqual({ role: "system", content: "Be brief." });
    expect(sent.at(-1)?.content).toBe(long.at(-1) ?? "");
    expect(sent.length).toBeGreaterThan(3);
    // What was learned is remembered.
    const before = ai.requests.length;
    expect(await answer(chat, history(...long))).toBe(ANSWER);
    expect(ai.requests.length - before).toBe(1);
  });

  test("fails clearly when one message is too long", async () => {
    ai.quirks = [smallContext(20, "OpenAI")];
    expect(await answer(model(), history(long.join(" ")))).toBe("provider_context");
  });

  test("fails where the engine refuses a message, which does not disturb the next", async () => {
    ai.quirks = [smallContext(120, "OpenAI")];
    const source: ProviderSource = { ...unknownSource("llm"), isEngine: true };
    const first = { baseURL: ai.url, apiKey: "k", model: "m", source };
    const chat = model({ first });
    const said = history("Hi.", "Hello.", long.join(" "));
    expect(await answer(chat, said)).toBe("provider_too_large");
    said.addMessage({ role: "user", content: "And now?" });
    expect(await answer(chat, said)).toBe(ANSWER);
    const { messages = [] } = requests().at(-1) ?? {};
    expect(messages.slice(1).map(({ content }) => content)).toEqual(["Hi.", "Hello.", "And now?"]);
  });
});

describe("a model that has to be loaded", () => {
  test("is waited for, told of, and loaded by answers that nobody waits for any more", async () => {
    const cold = new ColdModel(6000);
    ai.quirks = [cold];
    const chat = model();
    for (let prepared = 0; prepared < 2; prepared++) {
      const stream = chat.chat({ chatCtx: history("Hi."), connOptions: CONNECTION });
      await Bun.sleep(100);
      stream.close();
    }
    expect(await answer(chat)).toBe(ANSWER);
    expect(cold.hangUps).toBe(0);
    expect(notices.map(({ code, transient }) => [code, transient])).toEqual([
      ["model_loading", true],
    ]);
  }, 30_000);
});

describe("a second provider", () => {
  test("takes over when the first fails, and that is told once", async () => {
    ai.fail("llm", { kind: "status", status: 500 }, Number.POSITIVE_INFINITY);
    await using other = await startStandIn({ reply: () => "The second." });
    const second = { baseURL: other.url, apiKey: undefined, model: "m2" };
    const chat = model({ second });
    expect(await answer(chat)).toBe("The second.");
    expect(await answer(chat)).toBe("The second.");
    expect(notices.map(({ code }) => code)).toEqual(["provider_fallback"]);
  });
});
