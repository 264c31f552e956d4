import { apiAddresses } from "../domain/server-address.ts";
import type { ProviderEndpoint, Stage } from "../domain/stage.ts";
import { parseJson } from "../lib/json.ts";
import { authorization } from "./authorization.ts";
import { type ListedName, type NameList, readNames } from "./name-list.ts";

/** A server with OpenAI's API. */
export interface FoundApi {
  /** Where its API is, in the form of `OPENAI_BASE_URL`. */
  baseURL: string;
  /** What it lists; undefined when it has no list of models. */
  models: ListedName[] | undefined;
}

/** Why a server cannot be used. */
export type NotFound =
  | { why: "unreachable"; cause: unknown }
  | { why: "refused"; status: number }
  /** It forwards to another server, which the key is not sent to. */
  | { why: "forwards"; to: string }
  /** Something else answers there: a web page, or another API. */
  | { why: "other"; page: boolean };

const MAX_REDIRECTS = 5;
const MAX_PAGES = 10;
const MAX_BODY_BYTES = 8 * 2 ** 20;
const MAX_NAMES = 2000;

interface Answer {
  status: number;
  /** Where it came from, after redirects within the server. */
  url: string;
  type: string;
  /** The body if it is JSON. */
  json: unknown;
}

/**
 * Finds OpenAI's API at an address that may lack its path: asks each likely place for its models,
 * and, where nothing lists any, for the endpoint of the stage.
 *
 * @param answerMs how long each answer may take
 */
export async function findServer(
  stage: Stage,
  { baseURL, apiKey }: ProviderEndpoint,
  answerMs: number,
): Promise<FoundApi | NotFound> {
  const request = requester(apiKey, answerMs);
  const places = apiAddresses(baseURL);
  let refused: number | undefined;
  let busy: string | undefined;
  let forwards: string | undefined;
  let down = false;
  let page = false;
  try {
    for (const place of places) {
      const answer = await request(`${place}/models`);
      if ("to" in answer) {
        forwards ??= baseOf(answer.to) ?? answer.to;
        continue;
      }
      const { status, url, json } = answer;
      const list = isGood(status) ? readNames(json) : undefined;
      if (list) {
        return { baseURL: baseOf(url) ?? place, models: await allNames(list, url, request) };
      }
      page ||= isGood(status) && json === undefined;
      if (status === 401 || status === 403) refused ??= status;
      if (status === 502 || status === 504) down = true;
      else if (status === 429 || status >= 500) busy ??= place;
      // An address that is whole is believed: only a place that does not exist is looked for.
      if (place === baseURL && (status === 401 || busy)) break;
    }
    // It may be starting or overloaded: the conversation shows the rest.
    if (busy !== undefined) return { baseURL: busy, models: undefined };
    for (const place of refused === 401 ? [] : places) {
      const isThere = await hasEndpoint(stage, place, request).catch(needsLong);
      if (isThere) return { baseURL: place, models: undefined };
    }
  } catch (cause) {
    return { why: "unreachable", cause };
  }
  if (refused !== undefined) return { why: "refused", status: refused };
  if (forwards !== undefined) return { why: "forwards", to: forwards };
  return down ? { why: "unreachable", cause: undefined } : { why: "other", page };
}

/** The voices that a server lists; undefined when it lists none. */
export async function listVoices(
  { baseURL, apiKey }: ProviderEndpoint,
  answerMs: number,
): Promise<string[] | undefined> {
  const request = requester(apiKey, answerMs);
  for (const path of ["/audio/voices", "/audio/speech/voices", "/voices"]) {
    try {
      const answer = await request(`${baseURL}${path}`);
      const list = "to" in answer || !isGood(answer.status) ? undefined : readNames(answer.json);
      if (list && list.entries.length > 0) return list.entries.map(({ name }) => name);
    } catch {
      // Voices can be chosen without a list.
      return undefined;
    }
  }
  return undefined;
}

/** Whether a server has the endpoint of a stage. It is asked with an empty request. */
export async function servesStage(
  stage: Stage,
  { baseURL, apiKey }: ProviderEndpoint,
  answerMs: number,
): Promise<boolean> {
  // A connection that breaks says nothing of the endpoint.
  return hasEndpoint(stage, baseURL, requester(apiKey, answerMs)).catch(() => true);
}

/** A server that needs long to refuse an empty request has the endpoint: it may load a model first. */
function needsLong(error: unknown): boolean {
  if (error instanceof Error && error.name === "TimeoutError") return true;
  throw error;
}

const ENDPOINTS: Readonly<Record<Stage, string>> = {
  stt: "/audio/transcriptions",
  llm: "/chat/completions",
  tts: "/audio/speech",
};

/** A request that asks for nothing; a server with the endpoint says what is missing. */
function emptyRequest(stage: Stage): RequestInit {
  if (stage === "stt") {
    const body = new FormData();
    body.set("model", "");
    return { method: "POST", body };
  }
  const rest = stage === "llm" ? { messages: [] } : { input: "", voice: "" };
  return {
    method: "POST",
    body: JSON.stringify({ model: "", ...rest }),
    headers: { "Content-Type": "application/json" },
  };
}

async function hasEndpoint(stage: Stage, base: string, request: Requester): Promise<boolean> {
  const answer = await request(`${base}${ENDPOINTS[stage]}`, emptyRequest(stage));
  if ("to" in answer) return false;
  const { status, type, json } = answer;
  const text = JSON.stringify(json) ?? "";
  if (isGood(status)) {
    // LM Studio answers 200 where there is nothing, whisper.cpp where something is missing.
    if (/unexpected endpoint|not found/i.test(text)) return false;
    return /^audio|octet-stream|event-stream/.test(type) || /"(choices|text|error)"/.test(text);
  }
  // A model that does not exist is a 404, too.
  if (status === 404) return /\bmodel\b/i.test(text);
  if ([301, 302, 303, 401, 403, 405, 501, 502, 504].includes(status)) return false;
  return json !== undefined || status >= 500;
}

function isGood(status: number): boolean {
  return status >= 200 && status < 300;
}

/** The address that a list of models belongs to. */
function baseOf(url: string): string | undefined {
  return /^([^?#]*?)\/+models\/*([?#]|$)/i.exec(url)?.[1];
}

/** Asks a server. An answer `to` is a redirect to another server, which is not followed. */
type Requester = (url: string, init?: RequestInit) => Promise<Answer | { to: string }>;

function requester(apiKey: string | undefined, answerMs: number): Requester {
  const headers = { Accept: "application/json", ...authorization({ apiKey }) };
  return async (first, init) => {
    let url = first;
    for (let hops = 0; ; hops++) {
      const response = await fetch(url, {
        ...init,
        headers: { ...headers, ...Object(init?.headers) },
        redirect: "manual",
        signal: AbortSignal.timeout(answerMs),
      });
      const target = redirectOf(response, url);
      if (target === undefined || hops === MAX_REDIRECTS) return answerOf(response, url);
      await response.body?.cancel();
      if (!isSameServer(url, target)) return { to: target.href };
      url = target.href;
    }
  };
}

function redirectOf(response: Response, url: string): URL | undefined {
  const location = response.headers.get("Location");
  if (response.status < 300 || response.status >= 400 || location === null) return undefined;
  const target = URL.parse(location, url);
  return target && /^https?:$/.test(target.protocol) ? target : undefined;
}

/** The same origin, or the same host by HTTPS on the usual ports. */
function isSameServer(from: string, target: URL): boolean {
  const { origin, protocol, port, hostname } = new URL(from);
  const isUpgrade = protocol === "http:" && target.protocol === "https:" && port === "";
  return origin === target.origin || (isUpgrade && target.host === hostname);
}

async function answerOf(response: Response, url: string): Promise<Answer> {
  const text = await textOf(response);
  const type = response.headers.get("Content-Type")?.toLowerCase() ?? "";
  return { status: response.status, url, type, json: parseJson(text) };
}

/** The body up to a limit; sound is not waited for. */
async function textOf(response: Response): Promise<string> {
  const type = response.headers.get("Content-Type") ?? "";
  if (/^(audio|video)\/|octet-stream|event-stream/i.test(type)) {
    await response.body?.cancel();
    return "";
  }
  const decoder = new TextDecoder();
  let text = "";
  for await (const part of response.body ?? []) {
    text += decoder.decode(part, { stream: true });
    if (text.length > MAX_BODY_BYTES) break;
  }
  return text;
}

/** All pages of a list. A page that does not come ends it. */
async function allNames(first: NameList, url: string, request: Requester): Promise<ListedName[]> {
  const names = new Map(first.entries.map((entry) => [entry.name, entry]));
  let { next } = first;
  for (let pages = 1; next !== undefined && pages < MAX_PAGES && names.size < MAX_NAMES; pages++) {
    const target = URL.parse(next, url);
    if (!target || target.origin !== new URL(url).origin) break;
    const more = await request(target.href).catch(() => undefined);
    const list = more && "json" in more ? readNames(more.json) : undefined;
    const before = names.size;
    for (const entry of list?.entries ?? []) names.set(entry.name, entry);
    next = names.size > before ? list?.next : undefined;
  }
  return [...names.values()].slice(0, MAX_NAMES);
}
