import type { Stage } from "../domain/stage.ts";

/** What a server's refusal means, in the order in which it is recognised. */
export type RefusalKind =
  | "proxy"
  | "page"
  | "not_loaded"
  | "loading"
  | "cannot_load"
  | "key"
  | "region"
  | "quota"
  | "rate_limit"
  | "declined"
  | "context"
  | "too_large"
  | "audio"
  | "model_access"
  | "voice_unknown"
  | "model_unfit"
  | "parameter"
  | "model_unknown"
  | "forbidden"
  | "address"
  | "not_found"
  | "gateway"
  | "overloaded"
  | "timeout"
  | "rejected"
  | "failed";

/** Fields of Parley's requests that a server may not accept. A message names no other. */
export const FIELDS = [
  "response_format",
  "stream_options",
  "reasoning_effort",
  "chat_template_kwargs",
  "max_completion_tokens",
  "max_tokens",
  "temperature",
  "tool_choice",
  "tools",
  "instructions",
  "language",
  "prompt",
  "speed",
  "stream",
];

/** What a rule looks at. */
export interface Answer {
  stage: Stage;
  /** 0 when the server gave none. */
  status: number;
  /** The server's words and codes, in lower case. */
  text: string;
  /** The fields that the server names as wrong, in lower case. */
  fields: readonly string[];
}

type Rule = (answer: Answer) => boolean;

const says =
  (words: RegExp): Rule =>
  ({ text }) =>
    words.test(text);
const answers =
  (...statuses: number[]): Rule =>
  ({ status }) =>
    statuses.includes(status);
const names =
  (field: string): Rule =>
  ({ fields }) =>
    fields.includes(field);
const all =
  (...rules: Rule[]): Rule =>
  (answer) =>
    rules.every((rule) => rule(answer));
const not =
  (rule: Rule): Rule =>
  (answer) =>
    !rule(answer);
const at =
  (...stages: Stage[]): Rule =>
  ({ stage }) =>
    stages.includes(stage);

/** Words for something that a server does not have or know. */
const unknown = says(
  /not[ _-]?(?:be )?(?:found|supported|available|installed|recogni[sz]ed|served|valid|allowed|a valid)|(?:does|do|did) ?(?:not|n't) exist|unknown|no such|unsupported|invalid|unrecogni[sz]ed|could ?(?:not|n't) find|no available|decommissioned|deprecated|must be (?:one of|a valid)|should be|not in (?:the )?list|not one of|available (?:voices|models)/,
);

/** A field of Parley's requests: named as wrong, or in the words in a form that nothing else has. */
const isParameter: Rule = ({ text, fields }) =>
  FIELDS.some(
    (field) =>
      fields.includes(field) ||
      new RegExp(field.includes("_") ? `\\b${field}\\b` : `["'\`]${field}["'\`]`).test(text),
  );

/**
 * How each refusal is recognised; the first that fits counts. The words are those of OpenAI, Azure,
 * Groq, OpenRouter, Gemini, vLLM, SGLang, Ollama, llama.cpp, LM Studio, LocalAI, Speaches,
 * Kokoro-FastAPI and FastAPI; `test/stand-in/quirks/errors.ts` has their answers whole.
 */
export const RULES: readonly [RefusalKind, Rule][] = [
  ["proxy", answers(407)],
  ["page", says(/<!doctype|<html/)],
  ["not_loaded", says(/no models? (?:is |are )?(?:currently )?loaded|please load a model/)],
  ["not_loaded", says(/model(?: ["'`][^"'`]*["'`])? (?:is )?not (?:currently )?loaded/)],
  [
    "audio",
    all(
      at("stt"),
      says(
        /(?:invalid|unsupported|unrecogni[sz]ed) (?:file|audio|media) (?:format|type)|(?:decode|read|process|open|load)[^.]{0,20}\baudio|could not process file|audio (?:file )?is too short/,
      ),
    ),
  ],
  [
    "cannot_load",
    all(says(/model|engine/), says(/(?:not|n't|failed to|unable to) (?:be )?load|error loading/)),
  ],
  ["cannot_load", says(/requires more (?:system )?memory|runner process has terminated/)],
  ["cannot_load", says(/out of memory|not enough (?:v?ram|memory)/)],
  [
    "loading",
    all(
      answers(409, 425, 429, 500, 502, 503),
      says(/\bloading\b|warming up|initiali[sz]ing|starting up|not (?:yet )?ready/),
    ),
  ],
  ["key", answers(401)],
  [
    "key",
    says(
      /invalid_api_key|(?:incorrect|invalid|missing|expired|revoked|no) api[ _-]?key|api[ _-]?key (?:is )?(?:not valid|invalid|missing|expired)|authentication|unauthenticated|unauthori[sz]ed/,
    ),
  ],
  ["region", says(/unsupported_country|(?:country|region|location)[^.]{0,40}not supported/)],
  ["quota", answers(402)],
  [
    "quota",
    says(
      /insufficient[ _](?:quota|credits?|balance|funds)|billing_(?:hard|not)|payment required|out of credits|credit balance/,
    ),
  ],
  ["quota", all(says(/exceeded your current quota/), ({ text }) => waitIn(text) === undefined)],
  ["context", all(at("llm"), says(/request too large/))],
  ["context", all(at("llm"), answers(413))],
  [
    "context",
    all(
      at("llm"),
      not(answers(404, 429)),
      says(
        /context[ _](?:length|size|window|limit)|maximum context|exceed_context|(?:prompt|input) is too long|too many (?:input )?tokens|reduce the length|input length|longer than the (?:model|max)|\bn_ctx\b|tokens to keep|max_?(?:model|seq)_?len|max_(?:new|total)_tokens/,
      ),
    ),
  ],
  ["rate_limit", all(answers(429), not(says(/overload/)))],
  ["rate_limit", says(/rate.?limit|too many requests|\bquota\b/)],
  [
    "declined",
    says(
      /content[ _-]?(?:filter|policy|management)|moderation|flagged|responsible ?ai|safety (?:system|policy|reasons)/,
    ),
  ],
  ["too_large", answers(413)],
  [
    "too_large",
    all(
      at("stt", "tts"),
      not(names("voice")),
      says(
        /too (?:long|large)|string_too_long|at most \d+ (?:char|token)|exceeds? (?:the )?(?:max|limit)|maximum (?:content|length|input)/,
      ),
    ),
  ],
  [
    "model_access",
    all(
      not(answers(404)),
      says(/model/),
      says(/terms|gated|(?:not|no) (?:have )?access|not (?:allowed|permitted|authori[sz]ed)/),
    ),
  ],
  ["model_access", says(/data policy|guardrail/)],
  ["voice_unknown", all(at("tts"), names("voice"))],
  ["voice_unknown", all(at("tts"), says(/voice|speaker/), unknown)],
  ["model_unfit", answers(501)],
  [
    "model_unfit",
    says(
      /not a (?:chat|speech|transcription|tts|audio) model|does not support (?:chat|generate|completions?|transcriptions?|speech|audio)\b|not (?:compatible|supported) (?:with|in|for|on) (?:the |this )?(?:[\w/]+ )?(?:api|endpoint|task)/,
    ),
  ],
  [
    "parameter",
    says(
      /unsupported_(?:parameter|value)|unknown_parameter|(?:unsupported|unknown|unrecogni[sz]ed|unexpected) (?:request )?(?:parameter|value|argument|field|keyword)|extra_forbidden|extra (?:inputs|fields)|does not support (?:the )?(?:tools|stream|thinking|reasoning|parameter)/,
    ),
  ],
  ["parameter", all(isParameter, not(answers(404)), unknown)],
  ["model_unknown", names("model")],
  ["model_unknown", says(/model_not_found|deployment_?not_?found|no endpoints found|try pulling/)],
  ["model_unknown", all(says(/\b(?:models?|deployment)\b/), unknown)],
  ["forbidden", answers(403)],
  ["address", answers(301, 302, 303, 307, 308, 405, 410)],
  ["address", says(/unexpected endpoint|invalid url|no route|cannot (?:get|post) \/|method not/)],
  ["address", all(answers(404), says(/not[ _]?found/))],
  ["not_found", answers(404)],
  ["gateway", answers(502)],
  ["overloaded", answers(503, 529)],
  ["overloaded", says(/overload/)],
  ["timeout", answers(408, 504)],
  ["rejected", ({ status }) => status >= 400 && status < 500],
  ["failed", ({ status }) => status >= 500],
  ["failed", says(/server (?:had an )?error/)],
];

/** "try again in 7m12.5s", as OpenAI, Groq and Gemini write it, in seconds. */
export function waitIn(text: string): number | undefined {
  const [, wait = ""] =
    /(?:try again|retry) in ((?:[\d.]+ ?(?:ms|[hms])[a-z]* ?)+)/.exec(text) ?? [];
  const parts = [...wait.matchAll(/([\d.]+) ?(ms|h|m|s)/g)];
  if (parts.length === 0) return undefined;
  const units: Record<string, number> = { h: 3600, m: 60, s: 1, ms: 0.001 };
  return parts.reduce(
    (sum, [, number, unit = "s"]) => sum + Number(number) * (units[unit] ?? 1),
    0,
  );
}
