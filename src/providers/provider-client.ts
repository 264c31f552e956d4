import { setTimeout as delay } from "node:timers/promises";
import OpenAI from "openai";
import type { ProviderEndpoint } from "../domain/stage.ts";
import { authorization } from "./authorization.ts";
import { type Loading, ProviderTimeout, whenLoaded } from "./loading.ts";

/** How long a provider may take, in ms, before a request counts as hung. */
export interface Timeouts {
  /** Until the response head, including the retry. */
  answerMs: number;
  /** Between two parts of a streamed response, each of `PART_BYTES` or more. */
  idleMs: number;
}

/** What a person who waits for an answer bears with. */
export const TIMEOUTS: Timeouts = { answerMs: 8000, idleMs: 5000 };

/** How a stage waits for its provider. */
export interface Patience extends Timeouts {
  /** The model may have to be loaded; undefined: only the timeouts count. */
  loading?: Loading | undefined;
}

/** A server that sends fewer bytes in `idleMs` drips: no word and no sound comes of it. */
const PART_BYTES = 32;

/** Wait before the retry, in ms; short, because a person is waiting for the answer. */
const RETRY_MS = 300;

/** A server, its key, and what is sent to it with each request. */
export type ProviderAccess = ProviderEndpoint & { headers?: Record<string, string> | undefined };

/**
 * Creates the HTTP client of one stage. It sends the stage's key to the stage's server only. It
 * retries a request that failed at once, and gives up on responses that hang before or in the
 * middle of their stream, which the OpenAI client's own timeout does not cover.
 */
export function createProviderClient(
  provider: ProviderAccess,
  patience: Patience = TIMEOUTS,
): OpenAI {
  return new ProviderClient({
    baseURL: provider.baseURL,
    // The client requires a key; servers without one ignore it.
    apiKey: provider.apiKey ?? "none",
    maxRetries: 0,
    // When unset, the client reads these from environment variables that are not Parley's.
    adminAPIKey: null,
    organization: null,
    project: null,
    logLevel: "off",
    defaultHeaders: provider.headers,
    fetch: (input, init) => fetchPatiently(input, init ?? {}, patience),
  });
}

/** The client of the plugins. It keeps the whole body of a refusal, in whatever form it comes. */
class ProviderClient extends OpenAI {
  protected override makeStatusError(
    status: number,
    body: object | undefined,
    message: string | undefined,
    headers: Headers,
  ): ReturnType<OpenAI["makeStatusError"]> {
    const hasError = body !== undefined && "error" in body;
    return super.makeStatusError(status, hasError ? body : { error: body }, message, headers);
  }
}

/**
 * Posts JSON to a provider, for answers that its client does not read. Any status is an answer.
 *
 * @param path below the provider's base URL, such as `/chat/completions`
 * @throws ProviderTimeout, the reason of `signal`, or an error of the connection
 */
export function postToProvider(
  provider: ProviderAccess,
  path: string,
  body: unknown,
  patience: Patience,
  signal?: AbortSignal,
): Promise<Response> {
  const init: RequestInit = {
    method: "POST",
    headers: {
      ...provider.headers,
      ...authorization(provider),
      "Content-Type": "application/json",
      Accept: "text/event-stream, application/json",
    },
    body: JSON.stringify(body),
    signal: signal ?? null,
  };
  return fetchPatiently(`${provider.baseURL}${path}`, init, patience);
}

async function fetchPatiently(
  input: string | URL | Request,
  init: RequestInit,
  { answerMs, idleMs, loading }: Patience,
): Promise<Response> {
  const send = (signal: AbortSignal) => fetchWithRetry(input, { ...init, signal });
  // The OpenAI client fetches `data:,` before it sends a form, which says nothing about a model.
  const isRequest = !String(input).startsWith("data:");
  const response =
    loading && isRequest
      ? await whenLoaded(send, answerMs, loading, init.signal)
      : await withinTime(send, answerMs, init.signal);
  if (!response.body) return response;
  return new Response(withIdleTimeout(response.body, idleMs), response);
}

/** The response of a request that ends when its head does not come in time. */
async function withinTime(
  send: (signal: AbortSignal) => Promise<Response>,
  answerMs: number,
  signal: AbortSignal | null | undefined,
): Promise<Response> {
  const giveUp = new AbortController();
  const timer = setTimeout(() => giveUp.abort(new ProviderTimeout("did not answer")), answerMs);
  try {
    return await send(signal ? AbortSignal.any([signal, giveUp.signal]) : giveUp.signal);
  } catch (error) {
    throw giveUp.signal.aborted ? giveUp.signal.reason : error;
  } finally {
    clearTimeout(timer);
  }
}

/** Retries once after an overload or a broken connection, but not after a timeout. */
async function fetchWithRetry(
  input: string | URL | Request,
  init: RequestInit & { signal: AbortSignal },
): Promise<Response> {
  try {
    const response = await fetch(input, init);
    if (response.status !== 429 && response.status < 500) return response;
    await response.body?.cancel();
  } catch (error) {
    if (init.signal.aborted) throw error;
  }
  await delay(RETRY_MS, undefined, { signal: init.signal });
  return fetch(input, init);
}

/** The same stream; it fails when no part arrives in `idleMs` of waiting. */
function withIdleTimeout(
  body: ReadableStream<Uint8Array>,
  idleMs: number,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let leftMs = idleMs;
  let bytes = 0;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const asked = performance.now();
      const expired = Promise.withResolvers<never>();
      const timer = setTimeout(
        () => expired.reject(new ProviderTimeout("stopped answering")),
        leftMs,
      );
      try {
        const { done, value } = await Promise.race([reader.read(), expired.promise]);
        if (done) return controller.close();
        controller.enqueue(value);
        bytes += value.length;
        leftMs -= performance.now() - asked;
        if (bytes < PART_BYTES) return;
        [leftMs, bytes] = [idleMs, 0];
      } catch (error) {
        reader.cancel(error).catch(() => {});
        throw error;
      } finally {
        clearTimeout(timer);
      }
    },
    cancel: (reason) => reader.cancel(reason),
  });
}
