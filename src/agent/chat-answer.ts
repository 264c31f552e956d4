import { setTimeout as delay } from "node:timers/promises";
import OpenAI from "openai";
import type { Thinking } from "../domain/stage.ts";
import { type ChatPiece, readChat } from "../providers/chat-stream.ts";
import { contextRefusal } from "../providers/context-limit.ts";
import type { ModelFacts } from "../providers/model-memory.ts";
import {
  type Patience,
  type ProviderAccess,
  postToProvider,
} from "../providers/provider-client.ts";
import { AnswerError, webPageError } from "../providers/provider-errors.ts";
import { alwaysThinks, thinkingFields } from "../providers/thinking-models.ts";
import {
  type Conversation,
  messagesOf,
  tokensOf,
  trimmed,
  withoutUnanswered,
} from "./chat-messages.ts";
import { ThoughtFilter } from "./thoughts.ts";

/** A model at a server, what is known of it, and how it is waited for. */
export interface ChatModel {
  access: ProviderAccess & { model: string };
  facts: ModelFacts;
  patience: Patience;
  thinking: Thinking;
  /** The server is the local engine: it drops old turns itself, and refuses only what is newest. */
  isEngine?: boolean | undefined;
  /** How long it may take to its first words because another can answer, in ms. */
  firstWordsMs?: number | undefined;
}

/** What a model answers, without its thoughts. */
export type Said =
  | { kind: "text"; text: string }
  /** The text so far was a thought: the answer begins with the next. */
  | { kind: "restart" }
  | { kind: "usage"; prompt: number; completion: number; cached: number }
  /** The answer ended before it was complete. */
  | { kind: "cut" };

/** Requests for one answer, with a shorter history or fewer fields each time. */
const MAX_REQUESTS = 8;
/** How much of a refused conversation is sent next, if the server does not say how much it takes. */
const SHRINK = 0.7;
/** Part of the reported limit that is used, since tokens are only estimated. */
const MARGIN = 0.95;
/** Wait for the usage after an answer is complete, in ms; some servers leave the stream open. */
const AFTER_FINISH_MS = 1000;
/** The longest that a single answer may take, in ms. */
const MAX_ANSWER_MS = 600_000;
const MAX_REFUSAL_CHARACTERS = 65_536;
/** How servers say that they do not know a field. */
const UNKNOWN_FIELD =
  /extra|unknown|unexpected|unrecogni[sz]ed|unsupported|not permitted|additional/i;
const THINKING_FIELDS = ["reasoning_effort", "chat_template_kwargs"];
const NO_TOOLS = "There are no tools. Answer in words.";

/**
 * The answer of a model to a conversation. A request that is refused for what it holds (a history
 * that is too long, a field or a role that the server does not know) is sent again without it, and
 * that is remembered. A model that calls a tool, though none was offered, is asked once more.
 *
 * @param signal ends the request
 * @throws AnswerError if the answer has no words, or breaks off with an error; an error with the
 *   `status` of a refusal; or what the connection throws
 */
export async function* answerOf(
  model: ChatModel,
  conversation: Conversation,
  signal: AbortSignal,
): AsyncGenerator<Said> {
  let asked = conversation;
  let isHinted = false;
  let doubted: string[] = [];
  for (let requests = 1; ; requests++) {
    const { facts } = model;
    const fitting = trimmed(asked, facts.budget);
    const sent = isHinted
      ? { ...fitting, system: [fitting.system, NO_TOOLS].filter(Boolean).join("\n\n") }
      : fitting;
    const fields = fieldsFor(model);
    let hasWords = false;
    try {
      for await (const said of oneAnswer(model, sent, fields, signal)) {
        hasWords ||= said.kind === "text";
        yield said;
      }
      return;
    } catch (error) {
      for (const field of doubted) facts.refused.delete(field);
      doubted = [];
      if (hasWords || signal.aborted || requests >= MAX_REQUESTS) throw plain(error);
      if (error instanceof ToolCalled && !isHinted) {
        isHinted = true;
      } else if (error instanceof Refusal && isTooLong(error, model, sent)) {
        const shorter = withoutUnanswered(asked);
        if (!shorter) throw new AnswerError(model.isEngine ? "too_large" : "context");
        asked = shorter;
      } else if (error instanceof Refusal && learnLimit(error, facts, sent)) {
        // The next request is shorter.
      } else if (error instanceof Refusal && refusesSystem(error, facts, sent)) {
        facts.refusesSystem = true;
      } else if (error instanceof OnlyThought && "chat_template_kwargs" in fields) {
        // vLLM takes an answer without thoughts for a thought if its parser expects one.
        for (const name of THINKING_FIELDS) facts.refused.add(name);
      } else {
        const refused = error instanceof Refusal ? refusedFields(error, fields) : [];
        if (refused.length === 0) throw plain(error);
        // If the server does not name the field, only a request without it shows that it was that.
        if (!refused.some((name) => (error as Refusal).text.includes(name))) doubted = refused;
        for (const name of refused) facts.refused.add(name);
      }
    }
  }
}

/** A server's refusal, with its words, which go no further. */
class Refusal extends Error {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;

  constructor(status: number, text: string, headers = new Headers()) {
    super(`the provider answered ${status}`);
    this.status = status;
    this.text = text;
    this.headers = headers;
  }
}

/** The model called a tool instead of answering. */
class ToolCalled extends Error {}

/** The whole answer came as a thought. */
class OnlyThought extends Error {}

/** The error as it is reported to the person. */
function plain(error: unknown): unknown {
  if (error instanceof OnlyThought) return new AnswerError("empty", "it only thought");
  if (error instanceof ToolCalled) return new AnswerError("empty", "it called a tool");
  if (!(error instanceof Refusal)) return error;
  if (contextRefusal(error.status, error.text)) return new AnswerError("context");
  return statusError(error.status, error.text, error.headers);
}

function statusError(status: number, text: string, headers = new Headers()): Error {
  return OpenAI.APIError.generate(status, bodyOf(text), undefined, headers);
}

function bodyOf(text: string): object {
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body !== "object" || body === null) return { error: { message: text } };
    return "error" in body ? body : { error: body };
  } catch {
    return { error: { message: text } };
  }
}

function fieldsFor({ access, facts, thinking }: ChatModel): Record<string, unknown> {
  const fields = {
    stream_options: { include_usage: true },
    ...thinkingFields(access, thinking, facts.thinks),
  };
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !facts.refused.has(name)));
}

/** Whether what the person said last is too long, so that no shorter history would help. */
function isTooLong(
  { status, text }: Refusal,
  { isEngine }: ChatModel,
  sent: Conversation,
): boolean {
  if (!contextRefusal(status, text)) return false;
  return isEngine === true || sent.turns.length === 1;
}

/** Takes a refusal for its length into account. */
function learnLimit(refusal: Refusal, facts: ModelFacts, sent: Conversation): boolean {
  const context = contextRefusal(refusal.status, refusal.text);
  if (!context) return false;
  const size = tokensOf(sent);
  const scale = context.requested ? size / context.requested : 1;
  const told = context.limit === undefined ? size : context.limit * scale * MARGIN;
  facts.budget = told < size ? told : size * SHRINK;
  return true;
}

function refusesSystem({ status, text }: Refusal, facts: ModelFacts, sent: Conversation): boolean {
  if (facts.refusesSystem || sent.system === "" || (status < 400 && status !== 500)) return false;
  return /system/i.test(text) && /role|template|support|allowed/i.test(text);
}

/** The fields that a server may have refused: those that it names, or else all that few know. */
function refusedFields({ status, text }: Refusal, fields: Record<string, unknown>): string[] {
  if (status !== 400 && status !== 422) return [];
  const all = Object.keys(fields);
  const named = all.filter((name) => text.includes(name));
  if (named.length > 0) return named;
  return all.length > 1 || UNKNOWN_FIELD.test(text) ? all : [];
}

async function* oneAnswer(
  { access, facts, patience }: ChatModel,
  sent: Conversation,
  fields: Record<string, unknown>,
  signal: AbortSignal,
): AsyncGenerator<Said> {
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(new AnswerError("cut")), MAX_ANSWER_MS);
  try {
    const response = await postToProvider(
      access,
      "/chat/completions",
      {
        model: access.model,
        messages: messagesOf(sent, !facts.refusesSystem),
        stream: true,
        ...fields,
      },
      patience,
      AbortSignal.any([signal, over.signal]),
    );
    if (!response.ok) {
      const text = (await response.text()).slice(0, MAX_REFUSAL_CHARACTERS);
      throw new Refusal(response.status, text, response.headers);
    }
    if (response.headers.get("content-type")?.includes("text/html")) throw webPageError();
    if (!response.body) throw new AnswerError("empty");
    const holds = facts.beginsInThought ?? alwaysThinks(access.model);
    yield* wordsOf(untilFinished(readChat(response.body)), new ThoughtFilter(holds), facts);
  } finally {
    clearTimeout(timer);
    over.abort();
  }
}

/** The pieces until the answer is complete and its usage had time to come. */
async function* untilFinished(pieces: AsyncGenerator<ChatPiece>): AsyncGenerator<ChatPiece> {
  let isFinished = false;
  for (;;) {
    const next = pieces.next();
    const result: IteratorResult<ChatPiece> | undefined = await (isFinished
      ? Promise.race([next, delay(AFTER_FINISH_MS, undefined, { ref: false })])
      : next);
    if (!result || result.done) {
      next.catch(() => {});
      return;
    }
    isFinished ||= result.value.kind === "finish";
    yield result.value;
  }
}

/** What is for people, and at its end whether it was an answer. */
async function* wordsOf(
  pieces: AsyncGenerator<ChatPiece>,
  filter: ThoughtFilter,
  facts: ModelFacts,
): AsyncGenerator<Said> {
  let hasWords = false;
  let hasThoughts = false;
  let isToolCalled = false;
  let isDeclined = false;
  let reason = "";
  function* shown({ text, restarts }: { text: string; restarts: boolean }): Generator<Said> {
    if (restarts && hasWords) yield { kind: "restart" };
    if (restarts) hasWords = false;
    const words = hasWords ? text : text.trimStart();
    if (words === "") return;
    hasWords = true;
    yield { kind: "text", text: words };
  }
  for await (const piece of pieces) {
    switch (piece.kind) {
      case "text":
        yield* shown(filter.write(piece.text));
        break;
      case "thought":
        hasThoughts = true;
        filter.release();
        break;
      case "tool":
        isToolCalled = true;
        break;
      case "refusal":
        isDeclined = true;
        break;
      case "usage":
        yield piece;
        break;
      case "finish":
        reason = piece.reason.toLowerCase();
        break;
      case "error":
        throw errorOf(piece.error);
    }
  }
  yield* shown(filter.end());
  if (hasThoughts || filter.hadThoughts) facts.thinks = true;
  if (filter.beganInThought) facts.beginsInThought = true;
  else facts.beginsInThought ??= false;
  const isCut = /length|max_tokens|max_output/.test(reason);
  if (isDeclined || /content_filter|safety|refus|blocked/.test(reason)) {
    throw new AnswerError("declined");
  }
  if (hasWords) {
    if (isCut) yield { kind: "cut" };
    return;
  }
  if (isToolCalled || filter.hadTool) throw new ToolCalled();
  if (isCut)
    throw new AnswerError("cut", hasThoughts || filter.hadThoughts ? "it only thought" : undefined);
  if (reason === "error") throw new AnswerError("error_body");
  if (hasThoughts) throw new OnlyThought();
  throw new AnswerError("empty");
}

/** The error in a body with a good status. */
function errorOf(error: Record<string, unknown>): Error {
  const text = JSON.stringify(error);
  const code = [error["code"], error["status"], error["status_code"]]
    .map(Number)
    .find((status) => status >= 400 && status < 600);
  if (contextRefusal(code ?? 400, text)) return new Refusal(code ?? 400, text);
  const cause =
    code === undefined ? Object.assign(new Error(), { error }) : statusError(code, text);
  return new AnswerError("error_body", undefined, cause);
}
