import { randomUUID } from "node:crypto";
import type { Answer, CallChunk, Listener } from "./answer.ts";
import { openAiError } from "./openai-http.ts";

/** What every part of an answer begins with. */
export interface AnswerHead {
  id: string;
  /** In s since 1970. */
  created: number;
  model: string;
}

/** How often a client that waits for words hears that the engine works, in ms. */
const SIGN_OF_LIFE_MS = 500;
/** A model that does nothing for this long hangs, and its clients hear nothing, in ms. */
const HUNG_MS = 30_000;

/**
 * An answer as events, as OpenAI streams it. While there are no words it has comments such as
 * `: reading 512 of 2047`, so that a client knows silence to mean that the engine hangs
 * (https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream).
 */
export class AnswerStream implements Disposable {
  readonly #head: AnswerHead;
  readonly #write: (text: string) => void;
  readonly #timer: NodeJS.Timeout;
  readonly #calls: { name: string; text: string }[] = [];
  #state = "loading the model";
  #progressAt = () => performance.now();
  #wroteAt = 0;
  #promptTokens = 0;

  constructor(head: AnswerHead, write: (text: string) => void) {
    this.#head = head;
    this.#write = write;
    this.#timer = setInterval(() => this.#signOfLife(), SIGN_OF_LIFE_MS);
    this.#delta({ role: "assistant", content: "" });
  }

  /** What the answer is reported to. */
  get listener(): Omit<Listener, "signal"> {
    return {
      onText: (content) => {
        if (content !== "") this.#delta({ content });
      },
      onCall: (chunk) => this.#call(chunk),
      onProgress: (read) => {
        this.#state = `reading ${read} of ${this.#promptTokens}`;
      },
    };
  }

  /** The request waits for its turn. @param progressAt when the model last did anything */
  waiting(promptTokens: number, progressAt: () => number): void {
    this.#promptTokens = promptTokens;
    this.#state = "waiting for other conversations";
    const since = performance.now();
    this.#progressAt = () => Math.max(since, progressAt());
  }

  end(answer: Answer, withUsage: boolean): void {
    for (const [index, { name, params }] of answer.calls.entries()) {
      // A function without parameters has no arguments to stream.
      if (!this.#calls[index]?.text)
        this.#call({ index, name, text: JSON.stringify(params ?? {}) });
    }
    this.#delta({}, answer.finish);
    if (withUsage) this.#chunk([], { usage: usageOf(answer), timings: timingsOf(answer) });
    this.#put("data: [DONE]\n\n");
  }

  fail(error: unknown): void {
    const { status, error: body } = openAiError(error);
    this.#put(`data: ${JSON.stringify({ error: { ...body, status } })}\n\n`);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #call({ index, name, text }: CallChunk): void {
    const call = this.#calls[index];
    if (call) {
      call.text += text;
      this.#delta({ tool_calls: [{ index, function: { arguments: text } }] });
      return;
    }
    this.#calls[index] = { name, text };
    const head = { index, id: callId(), type: "function", function: { name, arguments: "" } };
    this.#delta({ tool_calls: [head] });
    if (text !== "") this.#delta({ tool_calls: [{ index, function: { arguments: text } }] });
  }

  #delta(delta: unknown, finish: string | null = null): void {
    this.#chunk([{ index: 0, delta, logprobs: null, finish_reason: finish }]);
  }

  #chunk(choices: unknown[], more: object = {}): void {
    const chunk = { ...this.#head, object: "chat.completion.chunk", choices, ...more };
    this.#put(`data: ${JSON.stringify(chunk)}\n\n`);
  }

  #signOfLife(): void {
    const now = performance.now();
    if (now - this.#wroteAt < SIGN_OF_LIFE_MS / 2 || now - this.#progressAt() > HUNG_MS) return;
    this.#put(`: ${this.#state}\n\n`);
  }

  #put(text: string): void {
    this.#wroteAt = performance.now();
    this.#write(text);
  }
}

/** An answer as one body. */
export function completion(head: AnswerHead, answer: Answer) {
  const calls = answer.calls.map(({ name, params }) => ({
    id: callId(),
    type: "function",
    function: { name, arguments: JSON.stringify(params ?? {}) },
  }));
  const message = {
    role: "assistant",
    content: answer.text === "" && calls.length > 0 ? null : answer.text,
    refusal: null,
    ...(calls.length > 0 ? { tool_calls: calls } : {}),
  };
  const choice = { index: 0, message, logprobs: null, finish_reason: answer.finish };
  return {
    ...head,
    object: "chat.completion",
    choices: [choice],
    usage: usageOf(answer),
    timings: timingsOf(answer),
  };
}

function callId(): string {
  return `call_${randomUUID().replaceAll("-", "").slice(0, 24)}`;
}

function usageOf({ promptTokens, cachedTokens, completionTokens }: Answer) {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  };
}

/** How fast an answer was, in the form of llama.cpp's server. */
export function timingsOf(answer: Answer) {
  const { promptTokens, cachedTokens, promptMs, completionTokens, completionMs } = answer;
  const read = promptTokens - cachedTokens;
  return {
    cache_n: cachedTokens,
    prompt_n: read,
    prompt_ms: promptMs,
    prompt_per_second: perSecond(read, promptMs),
    predicted_n: completionTokens,
    predicted_ms: completionMs,
    predicted_per_second: perSecond(completionTokens, completionMs),
  };
}

function perSecond(count: number, ms: number): number {
  return ms > 0 ? (count * 1000) / ms : 0;
}
