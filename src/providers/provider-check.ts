import type { StageEndpoint, StageProviders } from "../domain/stage.ts";
import { ProviderServers } from "./provider-servers.ts";
import { probeRealtime } from "./realtime-probe.ts";

/** How long it is remembered that a server could not be asked about realtime, in ms. */
const CACHE_MS = 60_000;
/** How long its answer is remembered, in ms; it changes with the server's version. */
const REALTIME_MS = 3_600_000;
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

  /**
   * Whether the server transcribes over OpenAI's realtime WebSocket. The answer is remembered for
   * an hour for this server, key and model. Never throws.
   *
   * @param onRefusal called when a server that was asked now does not, with the reason
   */
  async answersRealtime(
    provider: StageEndpoint,
    model: string,
    onRefusal: (why: string) => void = () => {},
  ): Promise<boolean> {
    const id = realtimeId(provider, model);
    const known = this.#realtime.get(id);
    if (known && known.until > Date.now()) return known.answer;
    const verdict = await probeRealtime(provider, model, this.#answerMs);
    if (!verdict.works) onRefusal(verdict.why);
    const keptMs = verdict.works || verdict.isCertain ? REALTIME_MS : CACHE_MS;
    this.#realtime.set(id, { answer: verdict.works, until: Date.now() + keptMs });
    return verdict.works;
  }

  /** Remembers that realtime transcription, which the server had confirmed, has failed. */
  realtimeFailed(provider: StageEndpoint, model: string): void {
    const until = Date.now() + REALTIME_MS;
    this.#realtime.set(realtimeId(provider, model), { answer: false, until });
  }
}

function realtimeId({ baseURL, apiKey }: StageEndpoint, model: string): string {
  return `${baseURL} ${apiKey ?? ""} ${model}`;
}
