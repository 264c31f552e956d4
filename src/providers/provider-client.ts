import { setTimeout as delay } from "node:timers/promises";
import OpenAI from "openai";
import type { ProviderEndpoint } from "../domain/stage.ts";

/** How long a provider may take, in ms, before a request counts as hung. */
export interface Timeouts {
  /** Until the response head, including the retry. */
  answerMs: number;
  /** Between two chunks of a streamed response. */
  idleMs: number;
}

const TIMEOUTS: Timeouts = { answerMs: 8000, idleMs: 5000 };

/** Thrown when a provider stays silent for longer than its `Timeouts` allow. */
class ProviderTimeout extends Error {
  override readonly name = "ProviderTimeout";
}

/** Wait before the retry, in ms; short, because a person is waiting for the answer. */
const RETRY_MS = 300;

/**
 * Creates the HTTP client of one stage. It sends the stage's key to the stage's server only. It
 * retries a request that failed at once, and gives up on responses that hang before or in the
 * middle of their stream, which the OpenAI client's own timeout does not cover.
 */
export function createProviderClient(
  provider: ProviderEndpoint & { headers?: Record<string, string> | undefined },
  timeouts: Timeouts = TIMEOUTS,
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
    fetch: (input, init) => fetchWithTimeouts(input, init, timeouts),
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

async function fetchWithTimeouts(
  input: string | URL | Request,
  init: RequestInit | undefined,
  timeouts: Timeouts,
): Promise<Response> {
  const giveUp = new AbortController();
  const expire = (what: string) => () =>
    giveUp.abort(new ProviderTimeout(`timeout: the provider ${what}`));
  const signal = init?.signal ? AbortSignal.any([init.signal, giveUp.signal]) : giveUp.signal;
  const timer = setTimeout(expire("did not answer"), timeouts.answerMs);
  try {
    const response = await fetchWithRetry(input, { ...init, signal });
    if (!response.body) return response;
    return new Response(
      withIdleTimeout(response.body, timeouts.idleMs, expire("stopped answering")),
      {
        status: response.status,
        statusText: response.statusText,
        headers: response.headers,
      },
    );
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

/** The same stream; calls `expire` when no chunk arrives for `idleMs` while one is awaited. */
function withIdleTimeout(
  body: ReadableStream<Uint8Array>,
  idleMs: number,
  expire: () => void,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const timer = setTimeout(expire, idleMs);
      try {
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      } finally {
        clearTimeout(timer);
      }
    },
    cancel: (reason) => reader.cancel(reason),
  });
}
