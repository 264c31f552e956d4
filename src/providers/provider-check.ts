import { isOpenAi, type StageEndpoint, type StageProviders } from "../domain/stage.ts";
import { authorization } from "./authorization.ts";
import { ProviderServers } from "./provider-servers.ts";

/** How long an answer is cached, in ms. */
const CACHE_MS = 60_000;
const ANSWER_MS = 4000;

/**
 * Checks that providers can be reached and accept the key, before a session starts with them.
 * Good answers are cached for a minute, so that starting a session costs no request.
 */
export class ProviderCheck {
  /** What the servers are and offer. */
  readonly servers: ProviderServers;
  readonly #realtime = new Map<string, { answer: boolean; until: number }>();
  readonly #answerMs: number;

  /** @param answerMs how long a provider may take to answer */
  constructor(answerMs: number = ANSWER_MS) {
    this.#answerMs = answerMs;
    this.servers = new ProviderServers(answerMs);
  }

  /** The stages of a session as their servers take them. @throws Failure */
  settleAll(...args: Parameters<ProviderServers["settleAll"]>): Promise<StageProviders> {
    return this.servers.settleAll(...args);
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
