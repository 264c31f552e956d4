import type { FoundServer } from "../domain/provider.ts";
import { modelsFor, readNames } from "./name-list.ts";

/** Where servers with OpenAI's API listen by default. */
const DEFAULTS: readonly Omit<FoundServer, "models">[] = [
  { name: "Ollama", baseURL: "http://127.0.0.1:11434/v1" },
  { name: "llama.cpp", baseURL: "http://127.0.0.1:8080/v1" },
  { name: "LM Studio", baseURL: "http://127.0.0.1:1234/v1" },
];
const ANSWER_MS = 700;
const CACHE_MS = 30_000;
const MAX_MODELS = 20;

/**
 * Creates a search for language model servers on this machine.
 *
 * @param places where to look; the default ports if omitted
 * @returns the search, which caches its result for half a minute
 */
export function localServerSearch(
  places: readonly Omit<FoundServer, "models">[] = DEFAULTS,
): () => Promise<FoundServer[]> {
  let cached: { found: Promise<FoundServer[]>; until: number } | undefined;
  return () => {
    if (cached === undefined || cached.until < Date.now()) {
      cached = { found: search(places), until: Date.now() + CACHE_MS };
    }
    return cached.found;
  };
}

async function search(places: readonly Omit<FoundServer, "models">[]): Promise<FoundServer[]> {
  const answers = await Promise.all(
    places.map(async (place) => {
      const models = await modelsOf(place.baseURL);
      return models.length === 0 ? [] : [{ ...place, models }];
    }),
  );
  return answers.flat();
}

/** The chat models of a server; none if nothing there speaks OpenAI's API. */
async function modelsOf(baseURL: string): Promise<string[]> {
  try {
    const response = await fetch(`${baseURL}/models`, {
      redirect: "error",
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    const list = readNames(await response.json());
    return modelsFor("llm", list?.entries ?? []).slice(0, MAX_MODELS);
  } catch {
    // Nothing listens there, or it is another kind of server.
    return [];
  }
}
