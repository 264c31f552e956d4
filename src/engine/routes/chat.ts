import { randomUUID } from "node:crypto";
import { Hono } from "hono";
import { streamSSE } from "hono/streaming";
import type { Logger } from "pino";
import { answerRequest, chatRequest } from "../chat-request.ts";
import type { Answer } from "../language-model.ts";
import type { LoadedModels } from "../loaded-models.ts";
import { clientOf, jsonBody, openAiError, parse } from "../openai-http.ts";

/** `POST /v1/chat/completions`, as one response or streamed. */
export function chat({ models, logger }: { models: LoadedModels; logger: Logger }): Hono {
  const app = new Hono();
  app.post("/v1/chat/completions", async (c) => {
    const body = parse(chatRequest, await jsonBody(c.req));
    const acquired = await models.acquire("llm", body.model);
    const head = {
      id: `chatcmpl-${randomUUID()}`,
      created: Math.floor(Date.now() / 1000),
      model: body.model,
    };
    const client = clientOf(c.req.raw, body.user);
    const disconnected = new AbortController();
    const signal = AbortSignal.any([c.req.raw.signal, disconnected.signal]);
    const request = { ...answerRequest(body), client, signal };
    if (body.stream !== true) {
      using lease = acquired;
      let text = "";
      const answer = await lease.model.answer({ ...request, onText: (more) => (text += more) });
      return c.json({ ...head, object: "chat.completion", ...completion(text, answer) });
    }
    return streamSSE(c, async (stream) => {
      using lease = acquired;
      stream.onAbort(() => disconnected.abort());
      const send = (choices: unknown[], usage?: unknown) =>
        stream.writeSSE({
          data: JSON.stringify({
            ...head,
            object: "chat.completion.chunk",
            choices,
            ...(usage ? { usage } : {}),
          }),
        });
      const sendDelta = (delta: unknown, finish: string | null = null) =>
        send([{ index: 0, delta, logprobs: null, finish_reason: finish }]);
      try {
        await sendDelta({ role: "assistant", content: "" });
        const answer = await lease.model.answer({
          ...request,
          onText: (content) => void (content !== "" && sendDelta({ content })),
        });
        for (const [index, call] of toolCalls(answer).entries()) {
          await sendDelta({ tool_calls: [{ index, ...call }] });
        }
        await sendDelta({}, answer.finish);
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

function completion(text: string, answer: Answer) {
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

function toolCalls(answer: Answer) {
  return answer.calls.map(({ name, params }) => ({
    id: `call_${randomUUID().replaceAll("-", "").slice(0, 24)}`,
    type: "function",
    function: { name, arguments: JSON.stringify(params ?? {}) },
  }));
}

function usageOf({ promptTokens, cachedTokens, completionTokens }: Answer) {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  };
}
