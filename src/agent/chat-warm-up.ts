import { isOpenAi } from "../domain/stage.ts";
import { authorization } from "../providers/authorization.ts";
import { describedModel, limitIn } from "../providers/context-limit.ts";
import { postToProvider } from "../providers/provider-client.ts";
import type { ChatModel } from "./chat-answer.ts";

/** The size of a context may change when a server starts again, so it is asked for again, ms. */
const LIMIT_VALID_MS = 600_000;
const LIMIT_TIMEOUT_MS = 3000;

/**
 * Has a server load its model while the conversation begins, by a request for a single token, and
 * learns how long a conversation may be. Failures are left to the first turn, which tells them.
 */
export async function warmUp(model: ChatModel, signal: AbortSignal): Promise<void> {
  const { access, facts, patience } = model;
  // OpenAI's models are always there, and the engine loads its own.
  if (isOpenAi(access.baseURL) || access.headers) return;
  const { loading } = patience;
  if (!loading || Date.now() - facts.answeredAt >= loading.warmMs) {
    const request = {
      model: access.model,
      messages: [{ role: "user", content: "Hi" }],
      max_tokens: 1,
      stream: false,
    };
    const response = await postToProvider(access, "/chat/completions", request, patience, signal);
    await response.body?.cancel();
  }
  await learnLimit(model, signal);
}

async function learnLimit({ access, facts }: ChatModel, signal: AbortSignal): Promise<void> {
  if (Date.now() - facts.limitAskedAt < LIMIT_VALID_MS) return;
  facts.limitAskedAt = Date.now();
  const headers = authorization(access);
  const ask = async (url: string): Promise<unknown> => {
    try {
      const within = AbortSignal.any([signal, AbortSignal.timeout(LIMIT_TIMEOUT_MS)]);
      const response = await fetch(url, { headers, signal: within });
      return response.ok ? await response.json() : undefined;
    } catch {
      return undefined;
    }
  };
  const listed = describedModel(await ask(`${access.baseURL}/models`), access.model);
  const limit = (await loadedLimit(access, ask)) ?? limitIn(listed);
  if (limit !== undefined) facts.budget = limit;
}

/**
 * The context that a model was loaded with, which may be smaller than the one it was made for. The
 * servers that tell it are those of one's own machine or house, which are reached without TLS.
 */
async function loadedLimit(
  { baseURL, model }: ChatModel["access"],
  ask: (url: string) => Promise<unknown>,
): Promise<number | undefined> {
  if (!baseURL.startsWith("http:")) return undefined;
  const root = baseURL.replace(/\/v1$/, "");
  // llama.cpp; LM Studio; Ollama.
  const [props, loaded, running] = await Promise.all([
    ask(`${root}/props`),
    ask(`${root}/api/v0/models`),
    ask(`${root}/api/ps`),
  ]);
  const lmStudio = describedModel(loaded, model);
  return limitIn(props) ?? limitIn(lmStudio) ?? limitIn(describedModel(running, model));
}
