import { isOpenAi, type ProviderEndpoint, type StageEndpoint } from "../domain/stage.ts";
import { Failure } from "../errors.ts";
import { STAGE_NOUNS } from "../lib/words.ts";
import { describeProviderError } from "./provider-errors.ts";
import { sourceOf } from "./provider-source.ts";

/** How long an answer is cached, in ms. */
const CACHE_MS = 60_000;
const ANSWER_MS = 4000;

/**
 * Checks that providers can be reached and accept the key, before a session starts with them.
 * Good answers are cached for a minute, so that starting a session costs no request.
 */
export class ProviderCheck {
  readonly #cachedUntil = new Map<string, number>();
  readonly #realtime = new Map<string, { answer: boolean; until: number }>();
  readonly #answerMs: number;

  /** @param answerMs how long a provider may take to answer */
  constructor(answerMs: number = ANSWER_MS) {
    this.#answerMs = answerMs;
  }

  /**
   * @throws Failure `unavailable` when a key is missing, `upstream_failed` when the provider
   *   cannot be reached or refuses the key
   */
  async assertReady(providers: StageEndpoint[]): Promise<void> {
    const distinct = new Map(providers.map((one) => [`${one.baseURL} ${one.apiKey ?? ""}`, one]));
    await Promise.all([...distinct].map(([id, provider]) => this.#assertOne(id, provider)));
  }

  async #assertOne(id: string, provider: StageEndpoint): Promise<void> {
    const now = Date.now();
    if ((this.#cachedUntil.get(id) ?? 0) > now) return;
    const { stage, baseURL, apiKey } = provider;
    const source = { ...sourceOf(stage, provider), hasWorked: false };
    if (apiKey === undefined && isOpenAi(baseURL)) {
      throw new Failure(
        "unavailable",
        `No provider is set up for ${STAGE_NOUNS[stage]}: choose one on the Models page, or set OPENAI_API_KEY or ${stage.toUpperCase()}_BASE_URL and start Parley again.`,
      );
    }
    const status = await modelsStatus(provider, this.#answerMs).catch((error) => {
      throw new Failure("upstream_failed", describeProviderError(stage, error, source).message, {
        cause: error,
      });
    });
    if (status === 401 || status === 403) {
      throw new Failure(
        "upstream_failed",
        describeProviderError(stage, { status }, source).message,
      );
    }
    this.#cachedUntil.set(id, now + CACHE_MS);
  }

  /** Whether the server accepts OpenAI's realtime transcription WebSocket. Never throws. */
  async answersRealtime(provider: StageEndpoint, model: string): Promise<boolean> {
    const id = `${provider.baseURL} ${model}`;
    const known = this.#realtime.get(id);
    if (known && known.until > Date.now()) return known.answer;
    const answer = await opensRealtime(provider, model, this.#answerMs);
    this.#realtime.set(id, {
      answer,
      until: answer ? Number.POSITIVE_INFINITY : Date.now() + CACHE_MS,
    });
    return answer;
  }
}

async function modelsStatus(provider: StageEndpoint, answerMs: number): Promise<number> {
  const response = await fetch(`${provider.baseURL}/models`, {
    headers: authorization(provider),
    signal: AbortSignal.timeout(answerMs),
  });
  await response.body?.cancel();
  return response.status;
}

function opensRealtime(provider: StageEndpoint, model: string, answerMs: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const headers = authorization(provider);
  const socket = new WebSocket(realtimeUrl(provider.baseURL, model), { headers });
  const timer = setTimeout(() => resolve(false), answerMs);
  socket.onopen = () => resolve(true);
  socket.onerror = () => resolve(false);
  socket.onclose = () => resolve(false);
  return promise.finally(() => {
    clearTimeout(timer);
    socket.close();
  });
}

/** The address of a server's realtime transcription. OpenAI itself takes no model there. */
export function realtimeUrl(baseURL: string, model: string): URL {
  const url = new URL(`${baseURL.replace(/^http/, "ws")}/realtime`);
  url.searchParams.set("intent", "transcription");
  if (!isOpenAi(baseURL)) url.searchParams.set("model", model);
  return url;
}

/** The header that carries a provider's key; none for servers that want no key. */
export function authorization(provider: ProviderEndpoint): Record<string, string> {
  return provider.apiKey === undefined ? {} : { Authorization: `Bearer ${provider.apiKey}` };
}
