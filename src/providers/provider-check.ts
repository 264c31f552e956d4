import { Failure } from "../errors.ts";
import { describeProviderError } from "./provider-errors.ts";

export interface CheckedProvider {
  stage: "stt" | "llm" | "tts";
  baseURL: string;
  apiKey: string | undefined;
}

/** How long a good answer is believed, in ms. */
const BELIEVED_MS = 60_000;
const ANSWER_MS = 4000;
const OPENAI_HOST = "api.openai.com";
const NAMES: Record<CheckedProvider["stage"], string> = {
  stt: "speech recognition",
  llm: "the language model",
  tts: "speech",
};

/**
 * Asks providers whether they are there and accept the key, before a session starts with them.
 * Good answers are kept for a minute, so that starting a session costs no request.
 */
export class ProviderCheck {
  readonly #believedUntil = new Map<string, number>();
  readonly #realtime = new Map<string, { answer: boolean; until: number }>();
  readonly #answerMs: number;

  /** @param answerMs how long a provider may take */
  constructor(answerMs: number = ANSWER_MS) {
    this.#answerMs = answerMs;
  }

  /**
   * @throws Failure `unavailable` when a key is missing, `upstream_failed` when the provider
   *   cannot be reached or refuses the key
   */
  async assertReady(providers: CheckedProvider[]): Promise<void> {
    const distinct = new Map(providers.map((one) => [`${one.baseURL} ${one.apiKey ?? ""}`, one]));
    await Promise.all([...distinct].map(([id, provider]) => this.#assertOne(id, provider)));
  }

  async #assertOne(id: string, provider: CheckedProvider): Promise<void> {
    const now = Date.now();
    if ((this.#believedUntil.get(id) ?? 0) > now) return;
    const { stage, baseURL, apiKey } = provider;
    const { host } = new URL(baseURL);
    if (apiKey === undefined && host === OPENAI_HOST) {
      throw new Failure(
        "unavailable",
        `No provider is set up for ${NAMES[stage]}: choose one on the Models page, or set OPENAI_API_KEY or ${stage.toUpperCase()}_BASE_URL and start Parley again.`,
      );
    }
    const status = await modelsStatus(provider, this.#answerMs).catch((error) => {
      throw new Failure(
        "upstream_failed",
        `The provider at ${host} cannot be reached: check its address (${stage.toUpperCase()}_BASE_URL or OPENAI_BASE_URL, or the Models page) and the network.`,
        { cause: error },
      );
    });
    if (status === 401 || status === 403) {
      throw new Failure("upstream_failed", describeProviderError(stage, { status }).message);
    }
    this.#believedUntil.set(id, now + BELIEVED_MS);
  }

  /** Whether the server answers OpenAI's realtime transcription WebSocket. Never throws. */
  async answersRealtime(provider: CheckedProvider, model: string): Promise<boolean> {
    const id = `${provider.baseURL} ${model}`;
    const known = this.#realtime.get(id);
    if (known && known.until > Date.now()) return known.answer;
    const answer = await opensRealtime(provider, model, this.#answerMs);
    this.#realtime.set(id, {
      answer,
      until: answer ? Number.POSITIVE_INFINITY : Date.now() + BELIEVED_MS,
    });
    return answer;
  }
}

async function modelsStatus(provider: CheckedProvider, answerMs: number): Promise<number> {
  const response = await fetch(`${provider.baseURL}/models`, {
    headers: authorization(provider),
    signal: AbortSignal.timeout(answerMs),
  });
  await response.body?.cancel();
  return response.status;
}

function opensRealtime(
  provider: CheckedProvider,
  model: string,
  answerMs: number,
): Promise<boolean> {
  const url = new URL(`${provider.baseURL.replace(/^http/, "ws")}/realtime`);
  url.searchParams.set("intent", "transcription");
  if (url.host !== OPENAI_HOST) url.searchParams.set("model", model);
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = new WebSocket(url, { headers: authorization(provider) });
  const timer = setTimeout(() => resolve(false), answerMs);
  socket.onopen = () => resolve(true);
  socket.onerror = () => resolve(false);
  socket.onclose = () => resolve(false);
  return promise.finally(() => {
    clearTimeout(timer);
    socket.close();
  });
}

function authorization(provider: CheckedProvider): Record<string, string> {
  return provider.apiKey === undefined ? {} : { Authorization: `Bearer ${provider.apiKey}` };
}
