import type { Stage } from "../domain/stage.ts";
import { statusOf } from "../errors.ts";
import { isObject } from "../lib/json.ts";
import { FIELDS, type RefusalKind, RULES, waitIn } from "./refusal-rules.ts";

/** Why a server could not be reached, or did not answer to the end. */
export type ConnectionKind =
  | "silent"
  | "refused"
  | "unknown_host"
  | "no_route"
  | "certificate"
  | "no_tls"
  | "broken";

/** What is known of a failed request. Nothing in it is the server's own text. */
export interface FailureFacts {
  kind: RefusalKind | ConnectionKind;
  status?: number | undefined;
  /** Seconds after which the server says that a retry makes sense. */
  retryAfterS?: number | undefined;
  /** The field of the request that it does not accept, if it is one that Parley sends. */
  field?: string | undefined;
}

/** The status of some refusals, for a WebSocket, where only the words tell. */
const STATUSES: Partial<Record<FailureFacts["kind"], number>> = {
  key: 401,
  quota: 429,
  rate_limit: 429,
  model_unknown: 404,
  overloaded: 503,
  failed: 500,
};

/** A provider's failure without any of the provider's text. */
export class ProviderError extends Error {
  override readonly name = "ProviderError";
  readonly status: number | undefined;
  readonly facts: FailureFacts;

  constructor(message: string, facts: FailureFacts) {
    super(message);
    this.status = facts.status ?? STATUSES[facts.kind];
    this.facts = facts;
  }
}

/** A chain of causes may be a circle. */
const MAX_CAUSES = 5;
/** More of a body, such as a page of HTML, says nothing new. */
const MAX_TEXT = 4000;

/**
 * What is known of a failed request: what the server's status, codes and known words mean, or why
 * no server answered.
 *
 * @param error an error of `fetch`, the openai client, the agents library or a WebSocket
 */
export function factsOf(stage: Stage, error: unknown): FailureFacts {
  const chain = causesOf(error);
  const known = chain.find((one) => one instanceof ProviderError);
  if (known instanceof ProviderError) return known.facts;
  const words: Words = { texts: [], fields: [] };
  for (const one of chain) collectFrom(one, words);
  const text = words.texts.join(" ").slice(0, MAX_TEXT).toLowerCase();
  const connection = connectionKind(chain);
  const told = statusOf(error) ?? statusIn(text);
  if (told === undefined && connection !== undefined) return { kind: connection };
  const fields = words.fields.map((field) => field.toLowerCase());
  const answer = { stage, status: told ?? 0, text, fields };
  const kind = RULES.find(([, fits]) => fits(answer))?.[0];
  if (kind === undefined) return { kind: "broken" };
  return {
    kind,
    status: told,
    retryAfterS: chain.map(retryAfterOf).find((wait) => wait !== undefined) ?? waitIn(text),
    field: FIELDS.find((one) => fields.includes(one)) ?? fieldIn(text),
  };
}

/** An error and its causes, as objects. */
export function causesOf(error: unknown): Record<string, unknown>[] {
  const chain: Record<string, unknown>[] = [];
  for (let at = error; isObject(at) && chain.length < MAX_CAUSES; at = at["cause"]) chain.push(at);
  return chain;
}

const CODES: readonly [RegExp, ConnectionKind][] = [
  [/\bECONNREFUSED\b|ConnectionRefused/, "refused"],
  [/\b(?:ENOTFOUND|EAI_AGAIN)\b/, "unknown_host"],
  [/\b(?:EHOSTUNREACH|ENETUNREACH|EHOSTDOWN)\b/, "no_route"],
  [/\b(?:[A-Z_]*CERT[A-Z_]*|UNABLE_TO_\w+|CRL_\w+)\b|certificate/, "certificate"],
  [/\bEPROTO\b|ERR_SSL|TLS handshake/, "no_tls"],
  [/\b(?:ECONNRESET|EPIPE|ECONNABORTED)\b/, "broken"],
  [/timed?[ -]?out|ETIMEDOUT/i, "silent"],
];

/** What the operating system, the TLS library or a deadline reported, if one of them did. */
function connectionKind(chain: readonly Record<string, unknown>[]): ConnectionKind | undefined {
  const text = chain.map(({ name, code, message }) => `${name} ${code} ${message}`).join(" ");
  return CODES.find(([pattern]) => pattern.test(text))?.[1];
}

/** What a server said: its words and codes, and the fields that it names as wrong. */
interface Words {
  texts: string[];
  fields: string[];
}

/** Parts of a body in which servers describe an error. Others, such as `input`, quote the request. */
const TEXT_KEYS = [
  ...["error", "errors", "message", "msg", "detail", "details", "code", "type", "status"],
  ...["title", "reason", "innererror", "metadata", "raw"],
];

function collectFrom(error: Record<string, unknown>, words: Words): void {
  const body = error["error"] ?? error["body"];
  // The client's message repeats the body, with what it quotes of the request.
  if (body !== undefined && body !== null) collect(body, words);
  else collect(error["message"], words);
}

function collect(value: unknown, words: Words, depth = 0): void {
  if (depth > MAX_CAUSES) return;
  if (typeof value === "string") collectText(value, words, depth);
  else if (Array.isArray(value)) for (const one of value) collect(one, words, depth + 1);
  else if (isObject(value)) {
    for (const key of TEXT_KEYS) collect(value[key], words, depth + 1);
    for (const place of [value["param"], value["loc"]].flat()) {
      if (typeof place === "string") words.fields.push(place);
    }
  }
}

/** A text may be JSON itself, with the body of a server further back or after a status. */
function collectText(text: string, words: Words, depth: number): void {
  try {
    collect(JSON.parse(text.replace(/^\d{3} /, "")), words, depth + 1);
  } catch {
    words.texts.push(text);
  }
}

function statusIn(text: string): number | undefined {
  const [, refused] = /unexpected server response: (\d{3})/.exec(text) ?? [];
  return refused === undefined ? undefined : Number(refused);
}

function fieldIn(text: string): string | undefined {
  return FIELDS.find((one) => new RegExp(`\\b${one}\\b`).test(text));
}

/** The wait that the headers of an answer ask for, in seconds (RFC 9110, section 10.2.3). */
function retryAfterOf({ headers }: Record<string, unknown>): number | undefined {
  if (!(headers instanceof Headers)) return undefined;
  const ms = Number(headers.get("retry-after-ms") ?? Number.NaN);
  if (ms > 0) return ms / 1000;
  const value = headers.get("retry-after")?.trim() ?? "";
  const seconds = /^\d+(\.\d+)?$/.test(value)
    ? Number(value)
    : (Date.parse(value) - Date.now()) / 1000;
  return seconds > 0 ? seconds : undefined;
}
