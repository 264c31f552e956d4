import { expect, test } from "bun:test";
import OpenAI from "openai";
import {
  type FakeModels,
  fakeLanguageModel,
  LLM,
  serveFakes,
  TTS,
} from "../../test/engine-models.ts";
import { Failure } from "../errors.ts";
import type { EngineServer } from "./server.ts";

const MESSAGES: OpenAI.ChatCompletionMessageParam[] = [{ role: "user", content: "The weather?" }];
const TOOL: OpenAI.ChatCompletionTool = {
  type: "function",
  function: { name: "weather", description: "Tells it", parameters: { type: "object" } },
};

function clientOf(server: EngineServer): OpenAI {
  const baseURL = new URL("/v1", server.url).href;
  return new OpenAI({ baseURL, apiKey: "sesame", maxRetries: 0 });
}

function post(server: EngineServer, path: string, body: unknown, method = "POST") {
  return fetch(new URL(path, server.url), {
    method,
    headers: { Authorization: "Bearer sesame" },
    body: JSON.stringify(body),
  });
}

const calling: FakeModels = {
  answer: async ({ onText }) => {
    onText("I will look.");
    return { finish: "tool_calls", calls: [{ name: "weather", params: { city: "Rome" } }] };
  },
};

test("a tool call is in the whole answer", async () => {
  await using server = serveFakes(calling);
  const { choices, usage } = await clientOf(server).chat.completions.create({
    model: LLM.id,
    messages: MESSAGES,
    tools: [TOOL],
  });
  expect(choices[0]?.finish_reason).toBe("tool_calls");
  expect(choices[0]?.message).toMatchObject({
    content: "I will look.",
    tool_calls: [{ type: "function", function: { name: "weather", arguments: '{"city":"Rome"}' } }],
  });
  expect(usage).toMatchObject({ prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 });
});

test("a tool call is in the streamed answer, with the tokens used", async () => {
  await using server = serveFakes(calling);
  const stream = clientOf(server).chat.completions.stream({
    model: LLM.id,
    messages: MESSAGES,
    tools: [TOOL],
    stream_options: { include_usage: true },
  });
  const { choices, usage } = await stream.finalChatCompletion();
  expect(choices[0]?.message.content).toBe("I will look.");
  expect(choices[0]?.message.tool_calls?.[0]).toMatchObject({ function: { name: "weather" } });
  expect(usage?.prompt_tokens_details?.cached_tokens).toBe(3);
});

test("the model gets the tools that tool_choice allows", async () => {
  const seen: unknown[] = [];
  await using server = serveFakes({
    answer: async ({ functions }) => {
      seen.push(functions === undefined ? undefined : Object.keys(functions));
      return {};
    },
  });
  const other = { ...TOOL, function: { ...TOOL.function, name: "time" } } as typeof TOOL;
  const named = { type: "function", function: { name: "time" } } as const;
  for (const tool_choice of ["auto", "none", named] as const) {
    await clientOf(server).chat.completions.create({
      model: LLM.id,
      messages: MESSAGES,
      tools: [TOOL, other],
      tool_choice,
    });
  }
  expect(seen).toEqual([["weather", "time"], undefined, ["time"]]);
});

test("the model gets the request's parameters", async () => {
  const requests: unknown[] = [];
  await using server = serveFakes({
    answer: async ({ onText: _onText, signal: _signal, history: _history, ...rest }) => {
      requests.push(rest);
      return {};
    },
  });
  await clientOf(server).chat.completions.create(
    {
      model: LLM.id,
      messages: MESSAGES,
      max_completion_tokens: 9,
      temperature: 0.2,
      top_p: 0.5,
      seed: 4,
      stop: "END",
      response_format: { type: "json_object" },
    },
    { headers: { "X-Client-Id": "ada" } },
  );
  expect(requests[0]).toMatchObject({
    maxTokens: 9,
    temperature: 0.2,
    topP: 0.5,
    seed: 4,
    stop: ["END"],
    schema: "json",
    client: "ada",
  });
});

test("an error in the middle of a stream is sent as an event, without details of an unexpected one", async () => {
  const failures = [new Failure("unavailable", "no more memory"), new Error("a secret")];
  for (const failure of failures) {
    await using server = serveFakes({
      answer: async ({ onText }) => {
        onText("Well");
        throw failure;
      },
    });
    const body = { model: LLM.id, messages: MESSAGES, stream: true };
    const text = await (await post(server, "/v1/chat/completions", body)).text();
    expect(text).toContain('"content":"Well"');
    expect(text).toContain('"type":"server_error"');
    expect(text.includes(failure.message)).toBe(failure instanceof Failure);
    const whole = await post(server, "/v1/chat/completions", { ...body, stream: false });
    expect(whole.status).toBe(failure instanceof Failure ? 503 : 500);
  }
});

for (const stream of [true, false]) {
  test(`a client that disconnects ends its ${stream ? "streamed" : "whole"} answer`, async () => {
    const ended = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    await using server = serveFakes({
      answer: ({ signal }) => {
        begun.resolve();
        return new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            ended.resolve();
            reject(signal.reason);
          });
        });
      },
    });
    const gone = new AbortController();
    const request = { model: LLM.id, messages: MESSAGES, stream };
    const asked = clientOf(server).chat.completions.create(request, { signal: gone.signal });
    asked.catch(() => {});
    await begun.promise;
    gone.abort();
    await ended.promise;
  });
}

test("a stream shows that it works while there are no words, from its beginning", async () => {
  const loaded = Promise.withResolvers<void>();
  const read = Promise.withResolvers<void>();
  await using server = serveFakes({
    load: {
      llm: async () => {
        await loaded.promise;
        return fakeLanguageModel(async ({ onProgress }) => {
          onProgress(5);
          await read.promise;
          return {};
        });
      },
    },
  });
  const response = await post(server, "/v1/chat/completions", {
    model: LLM.id,
    messages: MESSAGES,
    stream: true,
  });
  let text = "";
  const decoder = new TextDecoder();
  for await (const bytes of response.body ?? []) {
    text += decoder.decode(bytes, { stream: true });
    if (text.includes(": loading the model\n\n")) loaded.resolve();
    if (text.includes(": reading 5 of 7\n\n")) read.resolve();
  }
  expect(text).toEndWith("data: [DONE]\n\n");
});

test("a call is streamed with its name first, and its arguments as they are written", async () => {
  await using server = serveFakes({
    answer: async ({ onCall }) => {
      for (const text of ['{"city":', '"Rome"}']) onCall({ index: 0, name: "weather", text });
      return { finish: "tool_calls", calls: [{ name: "weather", params: { city: "Rome" } }] };
    },
  });
  const stream = await clientOf(server).chat.completions.create({
    model: LLM.id,
    messages: MESSAGES,
    tools: [TOOL],
    stream: true,
  });
  const parts: unknown[] = [];
  for await (const { choices } of stream) parts.push(...(choices[0]?.delta.tool_calls ?? []));
  const id = expect.stringMatching(/^call_/);
  expect(parts).toEqual([
    { index: 0, id, type: "function", function: { name: "weather", arguments: "" } },
    { index: 0, function: { arguments: '{"city":' } },
    { index: 0, function: { arguments: '"Rome"}' } },
  ]);
});

test("a voice that fails before its first audio sets the status", async () => {
  await using server = serveFakes({
    load: {
      tts: async () => ({
        // biome-ignore lint/correctness/useYield: it fails before its first audio
        async *speak() {
          throw new Failure("unavailable", "no voice");
        },
      }),
    },
  });
  const body = { model: TTS.id, input: "Hello.", voice: "alloy" };
  const response = await post(server, "/v1/audio/speech", body);
  expect(response.status).toBe(503);
  expect(await response.json()).toMatchObject({ error: { message: "no voice" } });
});

test("only the program that started the engine sets its models", async () => {
  const models = { models: [LLM], broken: { mind: "it is out of its mind" } };
  await using alone = serveFakes({});
  expect((await post(alone, "/models", models, "PUT")).status).toBe(404);
  await using server = serveFakes({ supervised: true });
  const stranger = await fetch(new URL("/models", server.url), { method: "PUT" });
  expect(stranger.status).toBe(401);
  expect((await post(server, "/models", { models: [{ kind: "gguf" }] }, "PUT")).status).toBe(400);
  expect((await post(server, "/models", models, "PUT")).status).toBe(204);
  const list = await clientOf(server).models.list();
  expect(list.data.map(({ id }) => id)).toEqual(["mind"]);
  const warm = await post(server, "/warm-up", {});
  expect(warm.status).toBe(503);
  expect(await warm.text()).toContain("out of its mind");
});

test("a page of any site may use the engine with its key", async () => {
  await using server = serveFakes({});
  const url = new URL("/v1/chat/completions", server.url);
  const asked = "authorization,content-type,x-stainless-os";
  const preflight = await fetch(url, {
    method: "OPTIONS",
    headers: {
      Origin: "https://app.example",
      "Access-Control-Request-Method": "POST",
      "Access-Control-Request-Headers": asked,
    },
  });
  expect(preflight.status).toBe(204);
  expect(preflight.headers.get("access-control-allow-headers")).toBe(asked);
  for (const key of ["sesame", "wrong"]) {
    const headers = { Authorization: `Bearer ${key}`, Origin: "https://app.example" };
    const response = await fetch(new URL("/v1/models", server.url), { headers });
    expect(response.status).toBe(key === "sesame" ? 200 : 401);
    expect(response.headers.get("access-control-allow-origin")).toBe("https://app.example");
  }
});

test("metrics have requests, loads and tokens", async () => {
  await using server = serveFakes({});
  const body = { model: "gpt-4o-mini", messages: MESSAGES };
  await post(server, "/v1/chat/completions", body);
  await post(server, "/v1/chat/completions", { model: "gpt-4o-mini" });
  const metrics = await fetch(new URL("/metrics", server.url), {
    headers: { Authorization: "Bearer sesame" },
  });
  const lines = (await metrics.text()).split("\n");
  for (const line of [
    'parley_engine_requests_total{route="/v1/chat/completions",status="200"} 1',
    'parley_engine_requests_total{route="/v1/chat/completions",status="400"} 1',
    'parley_engine_request_seconds_count{route="/v1/chat/completions"} 2',
    'parley_engine_model_loads_total{stage="llm",model="mind",result="loaded"} 1',
    'parley_engine_requests_running{stage="llm",model="mind"} 0',
    'parley_engine_tokens_total{stage="llm",model="mind",kind="read"} 4',
    'parley_engine_tokens_per_second{stage="llm",model="mind",kind="written"} 20',
    'parley_engine_audio_seconds_total{stage="tts",model="mouth"} 0',
  ]) {
    expect(lines).toContain(line);
  }
  expect((await fetch(new URL("/metrics", server.url))).status).toBe(401);
});
