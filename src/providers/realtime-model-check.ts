import { isOpenAi, type SpeechToSpeechProvider } from "../domain/stage.ts";
import { Failure } from "../errors.ts";
import { tryRealtimeModel } from "./realtime-model-connection.ts";
import { realtimeModelError } from "./realtime-model-errors.ts";

/** How long a good answer is cached, in ms. */
const CACHE_MS = 60_000;
const ANSWER_MS = 4000;

/**
 * Checks that realtime models accept a session, before one starts with them. Good answers are kept
 * for a minute, so that starting a session costs no connection.
 *
 * @returns the check; it throws Failure `unavailable` when a key is missing, else `upstream_failed`
 */
export function realtimeModelCheck(): (provider: SpeechToSpeechProvider) => Promise<void> {
  const cachedUntil = new Map<string, number>();
  const trying = new Map<string, Promise<number>>();
  return async (provider) => {
    const { baseURL, apiKey, model, voice } = provider;
    const id = [baseURL, apiKey ?? "", model, voice].join(" ");
    if ((cachedUntil.get(id) ?? 0) > Date.now()) return;
    if (apiKey === undefined && isOpenAi(baseURL)) {
      throw new Failure(
        "unavailable",
        "No provider is set up for speech to speech: choose one on the Models page, or set OPENAI_API_KEY or REALTIME_BASE_URL and start Parley again.",
      );
    }
    // `/ready` asks for each stage at the same time.
    const attempt = trying.get(id) ?? tryRealtimeModel(provider, ANSWER_MS);
    trying.set(id, attempt);
    try {
      await attempt;
    } catch (error) {
      const problem = realtimeModelError(provider, error);
      throw new Failure("upstream_failed", problem.message, { cause: problem });
    } finally {
      trying.delete(id);
    }
    cachedUntil.set(id, Date.now() + CACHE_MS);
  };
}
