import { afterAll, beforeAll, expect, test } from "bun:test";
import OpenAI from "openai";
import { testModels } from "../../scripts/test-models.ts";
import { createProviderClient, TIMEOUTS } from "../../src/providers/provider-client.ts";
import { type EngineProgram, engineProgram } from "../engine.ts";

const { llm } = await testModels();
const SMALL_CONTEXT = 512;
const LONG_INSTRUCTIONS = `You answer in one short sentence. ${"river lake ".repeat(900)}`;

let engine: EngineProgram;
/** The same with a context that a few turns fill. */
let small: EngineProgram;

beforeAll(async () => {
  [engine, small] = await Promise.all([
    engineProgram([llm], { ENGINE_PARALLEL: "2" }),
    engineProgram([llm], { ENGINE_CONTEXT: String(SMALL_CONTEXT) }),
  ]);
});
afterAll(() => Promise.all([engine, small].map((one) => one[Symbol.asyncDispose]())));

type Messages = OpenAI.ChatCompletionMessageParam[];

/**
 * A streamed answer to a client with the deadlines of Parley's own.
 *
 * @param enough ends the answer
 * @throws when the client gives up
 */
async function ask(
  server: EngineProgram,
  messages: Messages,
  more: object = {},
  enough?: AbortSignal,
) {
  const client = createProviderClient(server, TIMEOUTS);
  const stream = await client.chat.completions.create({
    model: llm.id,
    messages,
    temperature: 0,
    max_tokens: 20,
    stream: true,
    stream_options: { include_usage: true },
    ...more,
  });
  let text = "";
  const times: number[] = [];
  let usage: OpenAI.CompletionUsage | null | undefined;
  for await (const chunk of stream) {
    if (enough?.aborted) break;
    const words = chunk.choices[0]?.delta.content ?? "";
    if (words !== "") times.push(performance.now());
    text += words;
    usage = chunk.usage ?? usage;
  }
  const tokens = usage?.prompt_tokens ?? 0;
  return { text, times, tokens, cached: usage?.prompt_tokens_details?.cached_tokens ?? 0 };
}

/** How much of a prompt was read, as the comments of a stream say, until there are so many of them. */
async function readingOf(messages: Messages, count: number): Promise<number[]> {
  const gone = new AbortController();
  const response = await fetch(`${engine.baseURL}/chat/completions`, {
    method: "POST",
    headers: { Authorization: `Bearer ${engine.apiKey}` },
    body: JSON.stringify({ model: llm.id, messages, max_tokens: 1, user: "cleo", stream: true }),
    signal: gone.signal,
  });
  let text = "";
  let read: number[] = [];
  const decoder = new TextDecoder();
  for await (const bytes of response.body ?? []) {
    text += decoder.decode(bytes, { stream: true });
    read = [...text.matchAll(/: reading ([1-9]\d*) of \d+\n\n/g)].map(([, tokens]) =>
      Number(tokens),
    );
    if (read.length >= count) break;
  }
  gone.abort();
  return read;
}

test("long instructions are read before a deadline ends the turn, and a client that talks goes on", async () => {
  const story: Messages = [{ role: "user", content: "Tell me a long story of a boat." }];
  const over = new AbortController();
  const talking = ask(
    engine,
    story,
    { max_tokens: 2000, temperature: 1, user: "ada" },
    over.signal,
  );
  const begun = performance.now();
  const read = await ask(
    engine,
    [
      { role: "system", content: LONG_INSTRUCTIONS },
      { role: "user", content: "Hello." },
    ],
    { user: "bob", max_tokens: 1 },
  );
  const readMs = performance.now() - begun;
  over.abort();
  expect(read.tokens).toBeGreaterThan(1800);
  const { times } = await talking;
  const meanwhile = times.filter((time) => time > begun && time < begun + readMs);
  const gaps = meanwhile.map((time, at) => time - (meanwhile[at - 1] ?? begun));
  // Had the prompt been read at once, all of it would lie between two words.
  expect(Math.max(...gaps)).toBeLessThan(readMs / 4);
  expect(meanwhile.length).toBeGreaterThan(5);
}, 120_000);

test("a conversation that outgrows the context several times is answered at every turn, and hardly read again", async () => {
  const messages: Messages = [{ role: "system", content: "You answer in one short sentence." }];
  const sizes: { tokens: number; cached: number }[] = [];
  for (let turn = 0; turn < 14; turn++) {
    const content = `Question ${turn}: what is the name of river ${turn}, and through which hills, lakes and old towns does it flow before it comes to the sea?`;
    messages.push({ role: "user", content });
    const { text, tokens, cached } = await ask(small, messages, { user: "ada" });
    expect(text.length).toBeGreaterThan(0);
    expect(tokens).toBeGreaterThan(0);
    expect(tokens).toBeLessThanOrEqual(SMALL_CONTEXT * 0.75);
    messages.push({ role: "assistant", content: text });
    sizes.push({ tokens, cached });
  }
  const shifts = sizes.filter(({ tokens }, turn) => tokens < (sizes[turn - 1]?.tokens ?? 0));
  expect(shifts.length).toBeGreaterThanOrEqual(3);
  for (const { tokens, cached } of sizes.slice(1)) expect(cached).toBeGreaterThan(tokens / 3);
}, 120_000);

test("a prompt shows how far it is read, and the next try goes on where an aborted one ended", async () => {
  const messages: Messages = [
    { role: "system", content: `You are brief. ${"wind and water ".repeat(600)}` },
    { role: "user", content: "Who are you?" },
  ];
  const first = await readingOf(messages, 3);
  expect(first).toHaveLength(3);
  const [next = 0] = await readingOf(messages, 1);
  expect(next).toBeGreaterThanOrEqual(first.at(-1) ?? Number.POSITIVE_INFINITY);
}, 60_000);

test.each<[name: string, messages: Messages]>([
  ["a message", [{ role: "user", content: `My name is Ada. ${"river lake ".repeat(250)}` }]],
  [
    "instructions",
    [
      { role: "system", content: "river lake ".repeat(250) },
      { role: "user", content: "Hello." },
    ],
  ],
])("%s beyond the context is 400 before anything is read", async (_name, messages) => {
  for (const stream of [true, false]) {
    const request = { model: llm.id, messages, stream };
    const asked = createProviderClient(small, TIMEOUTS).chat.completions.create(request);
    const error = await asked.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OpenAI.BadRequestError);
    expect(error).toMatchObject({ code: "context_length_exceeded", param: "messages" });
  }
});

test("the same tool ids in two turns, no seed, a required call and limits of 0 and -1 do what they say", async () => {
  const client = createProviderClient(small, TIMEOUTS);
  const request = {
    model: llm.id,
    messages: [{ role: "user", content: "Name a river." }] as Messages,
  };
  const create = (more: object) => client.chat.completions.create({ ...request, ...more });
  const read = await create({ max_tokens: 0 });
  expect(read.choices[0]).toMatchObject({ finish_reason: "length", message: { content: "" } });
  const texts = [];
  for (let at = 0; at < 3; at++) {
    const { choices } = await create({ max_tokens: 12, temperature: 2, stop: "\n\n\n\n" });
    texts.push(choices[0]?.message.content);
  }
  expect(new Set(texts).size).toBeGreaterThan(1);
  const tools = ["now", "later"].map((name) => ({
    type: "function" as const,
    function: { name, description: null, parameters: null },
  }));
  const named = { type: "function", function: { name: "later" } };
  const { choices } = await create({ tools, tool_choice: named, max_tokens: -1 });
  expect(choices[0]?.message.tool_calls?.[0]).toMatchObject({ function: { name: "later" } });
  const stream = client.chat.completions.stream({
    ...request,
    tools: [
      {
        type: "function",
        function: {
          name: "find",
          parameters: { type: "object", properties: { river: { type: "string", maxLength: 12 } } },
        },
      },
    ],
    tool_choice: "required",
    temperature: 0,
  });
  const parts: string[] = [];
  stream.on("tool_calls.function.arguments.delta", ({ arguments_delta: more }) => parts.push(more));
  const [call] = (await stream.finalChatCompletion()).choices[0]?.message.tool_calls ?? [];
  expect(JSON.parse(call?.type === "function" ? call.function.arguments : "")).toEqual({
    river: expect.any(String),
  });
  expect(parts.length).toBeGreaterThan(2);
}, 60_000);
