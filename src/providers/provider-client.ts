import { setTimeout as delay } from "node:timers/promises";
import OpenAI from "openai";

/** How long a provider may take, in ms, before a request counts as hung. */
export interface Patience {
  /** Until the head of the answer, a second try included. */
  answerMs: number;
  /** Between two pieces of a streamed answer. */
  idleMs: number;
}

const PATIENCE: Patience = { answerMs: 8000, idleMs: 5000 };

/** Raised where a provider stays silent for longer than `Patience` allows. */
class ProviderTimeout extends Error {
  override readonly name = "ProviderTimeout";
}

/** Wait before a request that failed at once is sent again, in ms: people wait for the answer. */
const RETRY_MS = 300;

/**
 * The HTTP client of one stage. It never sends a key to another server than the stage's own. It
 * sends a request that failed at once a second time, and it gives up on answers that hang before
 * or in the middle of their stream, which the client's own time-out does not cover.
 */
export function createProviderClient(
  provider: {
    baseURL: string;
    apiKey: string | undefined;
    headers?: Record<string, string> | undefined;
  },
  patience: Patience = PATIENCE,
): OpenAI {
  return new OpenAI({
    baseURL: provider.baseURL,
    // The client insists on a key; servers without one ignore it.
    apiKey: provider.apiKey ?? "none",
    maxRetries: 0,
    // Unset, the client would take these from variables that are none of Parley's.
    adminAPIKey: null,
    organization: null,
    project: null,
    logLevel: "off",
    defaultHeaders: provider.headers,
    fetch: (input, init) => patientFetch(input, init, patience),
  });
}

async function patientFetch(
  input: string | URL | Request,
  init: RequestInit | undefined,
  patience: Patience,
): Promise<Response> {
  const giveUp = new AbortController();
  const expire = (what: string) => () =>
    giveUp.abort(new ProviderTimeout(`timeout: the provider ${what}`));
  const signal = init?.signal ? AbortSignal.any([init.signal, giveUp.signal]) : giveUp.signal;
  const timer = setTimeout(expire("did not answer"), patience.answerMs);
  try {
    const response = await fetchTwice(input, { ...init, signal });
    if (!response.body) return response;
    return new Response(watched(response.body, patience.idleMs, expire("stopped answering")), {
      status: response.status,
      statusText: response.statusText,
      headers: response.headers,
    });
  } catch (error) {
    throw giveUp.signal.aborted ? giveUp.signal.reason : error;
  } finally {
    clearTimeout(timer);
  }
}

/** A busy server or a broken connection gets a second chance; what hangs does not. */
async function fetchTwice(
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

/** The same stream; `expire` is called when no piece arrives for `idleMs` while one is awaited. */
function watched(
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
