import { parseJson } from "../lib/json.ts";

/** A server's refusal of a conversation that is too long for the model. */
export interface ContextRefusal {
  /** The tokens that the model takes; undefined: the server did not say. */
  limit: number | undefined;
  /** The tokens that it counted in the request. */
  requested: number | undefined;
}

/**
 * Words with which servers refuse a conversation that is too long: OpenAI, vLLM, llama.cpp, LM
 * Studio, SGLang, text-generation-inference, Anthropic, Gemini, Mistral, Groq, OpenRouter, TabbyAPI.
 */
const TOO_LONG =
  /context[ _-]?(?:length|size|window|limit)|context .{0,12}overflow|exceed_context|max(?:imum)?[ _]?(?:model|seq|sequence|input|prompt|context|position|number of tokens)|too many (?:\w+ )?tokens|(?:prompt|input|request|conversation|messages?)\b.{0,60}\btoo (?:long|large|big)|longer than the (?:model|maximum)|reduce (?:the length|your (?:message|prompt))|request_too_large|token limit|<= ?\d+\. given|less than \d+ tokens|exceeds? .{0,40}\btokens?\b/i;

/** Fields of a refusal or of a model's description that hold the limit, in the order of trust. */
const LIMIT_FIELDS = [
  "n_ctx",
  "loaded_context_length",
  "max_model_len",
  "context_length",
  "context_window",
  "max_context_length",
  "max_context_window",
  "max_input_tokens",
  "max_seq_len",
  "n_ctx_train",
];

/** A number that is named as the limit: “maximum context length is 4096”. */
const NAMED =
  /(?:max(?:imum)?(?!_(?:completion_|new_|output_)?tokens)|limit|available|allowed|only|at most|less than|<=|context (?:length|size|window))\D{0,40}?(\d[\d,_]*\d)/i;
/** A number before its name: “32768 maximum context length”. */
const BEFORE = /(\d[\d,_]*\d)\s*(?:tokens?\s*)?(?:max|limit)/i;

/**
 * What a refusal says about the length of the conversation; undefined if it is about something else.
 *
 * @param status the HTTP status; 413 always means that the request is too long
 * @param text the body as the server wrote it
 */
export function contextRefusal(status: number, text: string): ContextRefusal | undefined {
  // A limit per minute passes by itself.
  if (status === 429 || status === 401 || status === 403 || status === 404) return undefined;
  if (status !== 413 && !TOO_LONG.test(text)) return undefined;
  const named = limitIn(parseJson(text)) ?? number(NAMED.exec(text)?.[1] ?? BEFORE.exec(text)?.[1]);
  const numbers = [...text.matchAll(/\d[\d,_]*/g)].flatMap(([digits]) => number(digits) ?? []);
  const largest = Math.max(0, ...numbers);
  return { limit: named, requested: named && largest > named ? largest : undefined };
}

/**
 * The tokens of context that a server's description of a model names, such as an entry of
 * `GET /models`; undefined if it names none.
 */
export function limitIn(description: unknown, depth = 0): number | undefined {
  if (typeof description !== "object" || description === null || depth > 4) return undefined;
  const fields = Object.entries(description);
  for (const wanted of LIMIT_FIELDS) {
    const value = fields.find(([name]) => name.toLowerCase() === wanted)?.[1];
    const limit = number(value);
    if (limit !== undefined) return limit;
  }
  for (const [, value] of fields) {
    const limit = limitIn(value, depth + 1);
    if (limit !== undefined) return limit;
  }
  return undefined;
}

/** The description of one model in a server's list; its only model if none has the name. */
export function describedModel(list: unknown, model: string): unknown {
  const models = entriesOf(list);
  const named = models.find((entry) =>
    [entry["id"], entry["name"], entry["model"]].some((name) => name === model),
  );
  return named ?? (models.length === 1 ? models[0] : undefined);
}

function entriesOf(list: unknown): Record<string, unknown>[] {
  if (typeof list !== "object" || list === null) return [];
  const entries: unknown = Array.isArray(list)
    ? list
    : Object.values(list).find((value) => Array.isArray(value));
  if (!Array.isArray(entries)) return [];
  return entries.filter((entry) => typeof entry === "object" && entry !== null);
}

/** A plausible count of tokens. */
function number(value: unknown): number | undefined {
  const digits = typeof value === "string" ? value.replace(/[,_]/g, "") : value;
  const count = Number(digits);
  return Number.isSafeInteger(count) && count >= 16 && count < 100_000_000 ? count : undefined;
}
