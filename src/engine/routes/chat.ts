import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { type Context, Hono } from "hono";
import { streamSSE } from "hono/streaming";
import type { Logger } from "pino";
import type { Answer, Listener } from "../answer.ts";
import { type AnswerHead, AnswerStream, completion, timingsOf } from "../answer-stream.ts";
import { answerRequest, chatRequest } from "../chat-request.ts";
import type { PreparedAnswer } from "../language-model.ts";
import type { Lease, LoadedModels } from "../loaded-models.ts";
import { clientOf, jsonBody, parse } from "../openai-http.ts";

/** A request that is refused by then is answered with a status. Later the stream has begun, in ms. */
const HEAD_AFTER_MS = 1000;

interface Ready extends Disposable {
  lease: Lease<"llm">;
  answer: PreparedAnswer;
}

/** `POST /v1/chat/completions`, as one response or streamed. */
export function chat({ models, logger }: { models: LoadedModels; logger: Logger }): Hono {
  const app = new Hono();
  app.post("/v1/chat/completions", async (c) => {
    const body = parse(chatRequest, await jsonBody(c.req));
    models.check("llm", body.model);
    const request = { ...answerRequest(body), client: clientOf(c.req.raw, body.user) };
    const head: AnswerHead = {
      id: `chatcmpl-${randomUUID()}`,
      created: Math.floor(Date.now() / 1000),
      model: body.model,
    };
    const ready = prepare();
    const report = (answer: Answer) =>
      logger.debug({ model: body.model, ...timingsOf(answer) }, "answered");
    if (body.stream !== true) {
      using prepared = await ready;
      const answer = await prepared.answer.run({ ...SILENT, signal: c.req.raw.signal });
      report(answer);
      return c.json(completion(head, answer));
    }
    await Promise.race([ready, delay(HEAD_AFTER_MS)]);
    const withUsage = body.stream_options?.include_usage === true;
    return streamed(c, { head, ready, withUsage, report, logger });

    async function prepare(): Promise<Ready> {
      const lease = await models.acquire("llm", body.model);
      try {
        const answer = await lease.model.prepare(request);
        return { lease, answer, [Symbol.dispose]: () => lease[Symbol.dispose]() };
      } catch (error) {
        lease[Symbol.dispose]();
        throw error;
      }
    }
  });
  return app;
}

const SILENT: Omit<Listener, "signal"> = {
  onText: () => {},
  onCall: () => {},
  onProgress: () => {},
};

interface Streamed {
  head: AnswerHead;
  ready: Promise<Ready>;
  withUsage: boolean;
  report: (answer: Answer) => void;
  logger: Logger;
}

function streamed(
  c: Context,
  { head, ready, withUsage, report, logger }: Streamed,
): Response | Promise<Response> {
  const disconnected = new AbortController();
  const signal = AbortSignal.any([c.req.raw.signal, disconnected.signal]);
  return streamSSE(c, async (sse) => {
    sse.onAbort(() => disconnected.abort());
    using stream = new AnswerStream(head, (text) => void sse.write(text));
    try {
      using prepared = await ready;
      const { model } = prepared.lease;
      stream.waiting(prepared.answer.promptTokens, () => model.progressAt);
      const answer = await prepared.answer.run({ ...stream.listener, signal });
      report(answer);
      stream.end(answer, withUsage);
    } catch (error) {
      if (signal.aborted) return;
      logger.error({ err: error }, "a streamed answer broke off");
      stream.fail(error);
    }
  });
}
