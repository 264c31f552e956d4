import { describe, expect, test } from "bun:test";
import { failureOf } from "../../test/failure-of.ts";
import { answerRequest, chatRequest } from "./chat-request.ts";
import { parse } from "./openai-http.ts";

const tool = (name: string, more: object = {}) => ({
  type: "function",
  function: { name, ...more },
});
const named = (name: string) => ({ type: "function", function: { name } });
const allowed = (mode: string, ...names: string[]) => ({
  type: "allowed_tools",
  allowed_tools: { mode, tools: names.map(named) },
});
const json = { type: "json_object" };
const tools = [tool("weather", { description: null, parameters: null }), tool("time")];

function requestOf(more: object) {
  const body = { model: "m", messages: [{ role: "user", content: "Hello." }], ...more };
  return answerRequest(parse(chatRequest, body));
}

describe("which tools the model may and must call", () => {
  test.each<[choice: unknown, functions: string[] | undefined, mustCall: boolean]>([
    [undefined, ["weather", "time"], false],
    ["auto", ["weather", "time"], false],
    ["none", undefined, false],
    ["required", ["weather", "time"], true],
    [named("time"), ["time"], true],
    [allowed("auto", "weather"), ["weather"], false],
    [allowed("required", "weather"), ["weather"], true],
  ])("%j", (tool_choice, functions, mustCall) => {
    const request = requestOf({ tools, tool_choice });
    expect(request.functions && Object.keys(request.functions)).toEqual(functions as string[]);
    expect(request.mustCall).toBe(mustCall);
  });

  test("one at a time if calls may not be parallel", () => {
    expect(requestOf({ tools, parallel_tool_calls: false }).maxCalls).toBe(1);
    expect(requestOf({ tools, parallel_tool_calls: true }).maxCalls).toBeUndefined();
  });

  test("with the form of an answer only where the choice is made", () => {
    const both = { tools, response_format: json };
    expect(requestOf({ ...both, tool_choice: "none" })).toMatchObject({ schema: "json" });
    expect(requestOf({ ...both, tool_choice: "required" })).toMatchObject({
      schema: undefined,
      mustCall: true,
    });
  });
});

test("a limit of -1 is none, and 0 writes nothing", () => {
  expect(requestOf({ max_tokens: -1 }).maxTokens).toBeUndefined();
  expect(requestOf({ max_tokens: 0 }).maxTokens).toBe(0);
  expect(requestOf({ max_tokens: 9, max_completion_tokens: 5 }).maxTokens).toBe(5);
});

describe("what is not done is refused with its field", () => {
  test.each<[param: string, more: object]>([
    ["n", { n: 2 }],
    ["logprobs", { logprobs: true }],
    ["top_logprobs", { top_logprobs: 3 }],
    ["max_tokens", { max_tokens: -2 }],
    ["logit_bias.word", { logit_bias: { word: 1 } }],
    ["audio", { audio: { voice: "alloy" } }],
    ["modalities.0", { modalities: ["audio"] }],
    ["functions", { functions: [] }],
    ["tool_choice", { tools, tool_choice: named("unknown") }],
    ["tool_choice", { tools, tool_choice: allowed("auto", "unknown") }],
    ["tool_choice", { tool_choice: "required" }],
    ["tool_choice", { tools, tool_choice: "sometimes" }],
    ["response_format", { tools, response_format: json }],
    [
      "tools.0.function.parameters.properties.a.pattern",
      {
        tools: [
          tool("f", {
            strict: true,
            parameters: { type: "object", properties: { a: { type: "string", pattern: "a" } } },
          }),
        ],
      },
    ],
  ])("%s", async (param, more) => {
    const failure = await failureOf(Promise.try(() => requestOf(more)));
    expect(failure).toMatchObject({ kind: "invalid", details: { param } });
  });
});
