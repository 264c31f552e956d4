import { randomUUID } from "node:crypto";
import { Hono } from "hono";
import { streamSSE } from "hono/streaming";
import type { ChatModelFunctions } from "node-llama-cpp";
import { chatHistory } from "../chat-history.ts";
import { type ChatBody, chatRequest } from "../chat-request.ts";
import { clientOf } from "../client.ts";
import type { ChatAnswer, ChatRequest } from "../language-model.ts";
import { jsonBody, openAiError, parse } from "../openai-error.ts";
import type { RouteDeps } from "../route-deps.ts";

/** Small models go astray at OpenAI's own default of 1. */
const TEMPERATURE = 0.7;

/** `POST /v1/chat/completions`, whole or streamed. */
export function chat({ models, logger }: RouteDeps): Hono {
  const app = new Hono();
  app.post("/v1/chat/completions", async (c) => {
    const body = parse(chatRequest, await jsonBody(c.req));
    const borrowed = await models.borrow("llm", body.model);
    const head = {
      id: `chatcmpl-${randomUUID()}`,
      created: Math.floor(Date.now() / 1000),
      model: body.model,
    };
    const client = clientOf(c.req.raw, body.user);
    const gone = new AbortController();
    const signal = AbortSignal.any([c.req.raw.signal, gone.signal]);
    const request = { ...requestOf(body), client, signal };
    if (body.stream !== true) {
      using loan = borrowed;
      let text = "";
      const answer = await loan.model.answer({ ...request, onText: (more) => (text += more) });
      return c.json({ ...head, object: "chat.completion", ...wholeAnswer(text, answer) });
    }
    return streamSSE(c, async (stream) => {
      using loan = borrowed;
      stream.onAbort(() => gone.abort());
      const send = (choices: unknown[], usage?: unknown) =>
        stream.writeSSE({
          data: JSON.stringify({
            ...head,
            object: "chat.completion.chunk",
            choices,
            ...(usage ? { usage } : {}),
          }),
        });
      const delta = (value: unknown, finish: string | null = null) =>
        send([{ index: 0, delta: value, logprobs: null, finish_reason: finish }]);
      try {
        await delta({ role: "assistant", content: "" });
        const answer = await loan.model.answer({
          ...request,
          onText: (content) => void (content !== "" && delta({ content })),
        });
        for (const [index, call] of toolCalls(answer).entries()) {
          await delta({ tool_calls: [{ index, ...call }] });
        }
        await delta({}, answer.finish);
        if (body.stream_options?.include_usage) await send([], usageOf(answer));
        await stream.writeSSE({ data: "[DONE]" });
      } catch (error) {
        if (signal.aborted) return;
        logger.error({ err: error }, "a streamed answer broke off");
        await stream.writeSSE({ data: JSON.stringify({ error: openAiError(error).error }) });
      }
    });
  });
  return app;
}

function requestOf(body: ChatBody): Omit<ChatRequest, "client" | "signal" | "onText"> {
  const { response_format: format, stop } = body;
  return {
    history: chatHistory(body.messages),
    functions: functionsOf(body),
    schema:
      format?.type === "json_schema"
        ? format.json_schema.schema
        : format?.type === "json_object"
          ? "json"
          : undefined,
    maxTokens: body.max_completion_tokens ?? body.max_tokens ?? undefined,
    temperature: body.temperature ?? TEMPERATURE,
    topP: body.top_p ?? undefined,
    seed: body.seed ?? undefined,
    stop: typeof stop === "string" ? [stop] : (stop ?? []),
    frequencyPenalty: body.frequency_penalty ?? undefined,
    presencePenalty: body.presence_penalty ?? undefined,
  };
}

/** A choice of one function leaves the model this one only; none can be forced on it. */
function functionsOf({ tools, tool_choice: choice }: ChatBody): ChatModelFunctions | undefined {
  if (!tools || choice === "none") return undefined;
  const wanted = typeof choice === "object" ? choice?.function.name : undefined;
  const entries = tools
    .filter((tool) => wanted === undefined || tool.function.name === wanted)
    .map(({ function: { name, description, parameters } }) => [
      name,
      { description, params: parameters },
    ]);
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

function wholeAnswer(text: string, answer: ChatAnswer) {
  const calls = toolCalls(answer);
  const message = {
    role: "assistant",
    content: text === "" && calls.length > 0 ? null : text,
    refusal: null,
    ...(calls.length > 0 ? { tool_calls: calls } : {}),
  };
  const choice = { index: 0, message, logprobs: null, finish_reason: answer.finish };
  return { choices: [choice], usage: usageOf(answer) };
}

function toolCalls(answer: ChatAnswer) {
  return answer.calls.map(({ name, params }) => ({
    id: `call_${randomUUID().replaceAll("-", "").slice(0, 24)}`,
    type: "function",
    function: { name, arguments: JSON.stringify(params ?? {}) },
  }));
}

function usageOf({ promptTokens, cachedTokens, completionTokens }: ChatAnswer) {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  };
}
