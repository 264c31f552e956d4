/** One piece of what a chat server sends, whatever form it came in. */
export type ChatPiece =
  | { kind: "text"; text: string }
  /** The model thinks, in a channel of its own. The words are not kept. */
  | { kind: "thought" }
  /** The model calls a tool. */
  | { kind: "tool" }
  | { kind: "refusal" }
  | { kind: "usage"; prompt: number; completion: number; cached: number }
  /** The model has stopped writing. */
  | { kind: "finish"; reason: string }
  /** The server reports an error in place of an answer, or in the middle of one. */
  | { kind: "error"; error: Fields };

type Fields = Record<string, unknown>;

/** Longest value that is put together from several lines, in characters. */
const MAX_VALUE = 4_000_000;

/**
 * Reads the answer of `POST /chat/completions` and forgives what real servers do differently: a
 * whole JSON body or JSON lines in place of events, any line end, comments, events without a blank
 * line or `[DONE]`, lines that are broken, and chunks that lack fields or name them otherwise.
 *
 * @throws what reading the body throws
 */
export async function* readChat(body: ReadableStream<Uint8Array>): AsyncGenerator<ChatPiece> {
  const chunks = new ChunkReader();
  for await (const line of linesOf(body)) {
    if (line.replace(/\s/g, "") === "data:[DONE]") return;
    for (const value of valuesIn(line, chunks.values)) yield* chunks.piecesOf(value);
  }
  for (const value of chunks.values.rest()) yield* chunks.piecesOf(value);
}

/** The lines of a body; they end with LF, CRLF or CR, and a byte order mark is removed. */
async function* linesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of body) {
    rest += decoder.decode(bytes, { stream: true });
    // A CR at the end may be the first half of a CRLF.
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    yield* lines;
  }
  rest += decoder.decode();
  yield* rest.split(/\r\n|\n|\r/);
}

/** What one line completes. `event:`, `id:`, `retry:` and comments say nothing by themselves. */
function valuesIn(line: string, values: ValueReader): Fields[] {
  const data = /^\s*data:\s?(.*)$/s.exec(line)?.[1];
  if (data !== undefined) return values.add(data, false);
  // Older servers of llama.cpp report an error in a field of its own.
  const error = /^\s*error:\s*(.*)$/s.exec(line)?.[1];
  if (error !== undefined) return [{ error: parsed(error)?.[0] ?? error }];
  if (line.trim() === "") return values.blankLine();
  if (/^\s*(?::|(?:event|id|retry)\s*:)/.test(line)) return [];
  return values.add(line, true);
}

/** Puts JSON objects together from lines. A value that is broken is dropped when the next begins. */
class ValueReader {
  #pending = "";
  #isBody = false;

  /** @param isBody whether the line is one of a JSON body and not of an event */
  add(line: string, isBody: boolean): Fields[] {
    const alone = /^\s*[{[]/.test(line) ? parsed(line) : undefined;
    // An indented line may be a value of its own, but belongs to the whole.
    const belongs = this.#pending !== "" && /^\s/.test(line);
    if (alone && !belongs) {
      this.#pending = "";
      return alone;
    }
    if (this.#pending === "" && !/^\s*[{[]/.test(line)) return [];
    // Only a new value begins with a bracket that is not indented.
    if (/^[{[]\s*$/.test(line)) this.#pending = "";
    this.#isBody = isBody;
    this.#pending += `${line}\n`;
    if (this.#pending.length > MAX_VALUE) this.#pending = "";
    if (!/[}\]]\s*$/.test(line)) return [];
    return this.#take();
  }

  /** The end of an event. A body in JSON may have blank lines. */
  blankLine(): Fields[] {
    const values = this.#take();
    if (!this.#isBody) this.#pending = "";
    return values;
  }

  /** What is complete at the end of the body. */
  rest(): Fields[] {
    return this.#take();
  }

  #take(): Fields[] {
    const values = parsed(this.#pending);
    if (!values) return [];
    this.#pending = "";
    return values;
  }
}

function parsed(text: string): Fields[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return (Array.isArray(value) ? value : [value]).filter(isFields);
  } catch {
    return undefined;
  }
}

/** Reads the objects of one answer. */
class ChunkReader {
  readonly values = new ValueReader();
  /** The index of the choice that is read, if the server numbers them. */
  #index: unknown;
  /** Whether words came in the form of `delta`; a whole `message` at the end repeats them. */
  #hasDeltas = false;

  *piecesOf(chunk: Fields): Generator<ChatPiece> {
    const error = errorIn(chunk);
    if (error) return yield { kind: "error", error };
    for (const choice of this.#choicesOf(chunk)) yield* this.#piecesOfChoice(choice);
    const usage = usageIn(chunk);
    if (usage) yield usage;
  }

  #choicesOf(chunk: Fields): Fields[] {
    const listed = chunk["choices"] ?? chunk["candidates"];
    if (isFields(listed)) return [listed];
    if (!Array.isArray(listed)) return [chunk];
    const choices = listed.filter(isFields);
    return choices.filter(({ index }) => {
      if (index === undefined || index === null) return true;
      this.#index ??= index;
      return index === this.#index;
    });
  }

  *#piecesOfChoice(choice: Fields): Generator<ChatPiece> {
    const delta = choice["delta"];
    const fromDelta = delta === undefined || delta === null ? [] : [...contentOf(delta)];
    if (fromDelta.some(({ kind }) => kind === "text")) this.#hasDeltas = true;
    yield* fromDelta;
    if (!this.#hasDeltas) {
      const whole = WHOLE.map((name) => choice[name]).find((value) => isContent(value));
      if (whole !== undefined) yield* contentOf(whole);
    }
    const reason =
      choice["finish_reason"] ??
      choice["finishReason"] ??
      choice["stop_reason"] ??
      choice["done_reason"] ??
      (choice["done"] === true ? "stop" : undefined);
    if (typeof reason === "string" && reason !== "") yield { kind: "finish", reason };
  }
}

/** Where servers put words, besides `delta`. */
const WHOLE = ["message", "text", "content", "response", "output_text", "generated_text"];

const THOUGHTS = [
  "reasoning_content",
  "reasoning",
  "reasoning_text",
  "reasoning_details",
  "thinking",
  "thoughts",
  "thought",
];

function isContent(value: unknown): boolean {
  return typeof value === "string" ? value !== "" : isFields(value) || Array.isArray(value);
}

/** The pieces of a message, of a part of one, or of a list of parts. */
function* contentOf(value: unknown, depth = 0): Generator<ChatPiece> {
  if (typeof value === "string" && value !== "") yield { kind: "text", text: value };
  if (typeof value === "number") yield { kind: "text", text: String(value) };
  if (depth > 4) return;
  if (Array.isArray(value)) for (const part of value) yield* contentOf(part, depth + 1);
  if (!isFields(value)) return;
  if (isThought(value)) return yield { kind: "thought" };
  if (isContent(value["refusal"])) yield { kind: "refusal" };
  if (isFilled(value["tool_calls"]) || isFields(value["function_call"])) yield { kind: "tool" };
  const words = ["content", "text", "value", "parts", "output_text"].find(
    (name) => isContent(value[name]) || typeof value[name] === "number",
  );
  if (words) yield* contentOf(value[words], depth + 1);
  if (THOUGHTS.some((name) => isContent(value[name]))) yield { kind: "thought" };
}

/** Whether a part of a message is thoughts as a whole. */
function isThought({ type, thought }: Fields): boolean {
  return thought === true || (typeof type === "string" && /think|reason|thought/i.test(type));
}

function isFilled(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0;
}

function errorIn(chunk: Fields): Fields | undefined {
  const { error, choices } = chunk;
  if (isFields(error) && Object.keys(error).length > 0) return error;
  if (typeof error === "string" && error !== "") return { message: error };
  if (isFilled(choices)) return undefined;
  // Without choices, a message that is no object is what went wrong.
  if (typeof chunk["message"] === "string") return chunk;
  if (chunk["object"] === "error" || chunk["type"] === "error") return chunk;
  return isContent(chunk["detail"]) ? chunk : undefined;
}

function usageIn(chunk: Fields): ChatPiece | undefined {
  const vendor = isFields(chunk["x_groq"]) ? chunk["x_groq"]["usage"] : undefined;
  const usage = chunk["usage"] ?? vendor;
  if (!isFields(usage)) return undefined;
  const count = (...names: string[]) => {
    const value = names.map((name) => Number(usage[name])).find((number) => number > 0);
    return Number.isSafeInteger(value) ? Number(value) : 0;
  };
  const details = usage["prompt_tokens_details"];
  const cached = isFields(details) ? Number(details["cached_tokens"]) : 0;
  return {
    kind: "usage",
    prompt: count("prompt_tokens", "input_tokens", "promptTokens"),
    completion: count("completion_tokens", "output_tokens", "completionTokens"),
    cached: Number.isSafeInteger(cached) ? cached : 0,
  };
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
