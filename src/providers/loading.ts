import { setTimeout as delay } from "node:timers/promises";
import { isOpenAi, type Stage } from "../domain/stage.ts";
import type { Notice } from "../domain/transcript.ts";
import { untilAborted } from "../lib/deadline.ts";
import { capitalised, STAGE_NOUNS } from "../lib/words.ts";
import type { ModelFacts, ModelMemory } from "./model-memory.ts";

/** How a request deals with a model that may have to be loaded first. */
export interface Loading {
  facts: ModelFacts;
  /** After this long without an answer, in ms, the server may have unloaded the model again. */
  warmMs: number;
  /** The longest that a model may take to load, in ms. */
  maxMs: number;
  /** Called when a person waits for a model that is probably being loaded. */
  onLoading?: (() => void) | undefined;
}

/**
 * After this long without a request, in ms, a server may have unloaded a model: language models are
 * large and so go first, and a warm-up finds out. The longest that each stage is waited for, in ms.
 */
const STAGES: Readonly<Record<Stage, { warmMs: number; maxMs: number }>> = {
  llm: { warmMs: 20_000, maxMs: 300_000 },
  stt: { warmMs: 25_000, maxMs: 120_000 },
  tts: { warmMs: 240_000, maxMs: 60_000 },
};

/**
 * How a stage waits for a model to be loaded; undefined for OpenAI's, which are always there.
 *
 * @param onNotice tells the person why they wait; undefined if another provider can answer
 */
export function loadingOf(
  stage: Stage,
  server: { baseURL: string; model: string },
  memory: ModelMemory,
  onNotice: ((notice: Notice) => void) | undefined,
): Loading | undefined {
  if (isOpenAi(server.baseURL)) return undefined;
  const message = `${capitalised(STAGE_NOUNS[stage])} is being loaded. This may take a minute.`;
  const notice: Notice = { code: "model_loading", stage, transient: true, message };
  const onLoading = onNotice && (() => onNotice(notice));
  return { ...STAGES[stage], facts: memory.of(server), onLoading };
}

/** Thrown when a provider stays silent for longer than it may. */
export class ProviderTimeout extends Error {
  override readonly name = "ProviderTimeout";

  constructor(what: string) {
    super(`timeout: the provider ${what}`);
  }
}

/** How long a person waits before the page explains it, in ms. */
const TELL_AFTER_MS = 4000;
/** Patience with a loaded model grows with what it has needed before, up to this, in ms. */
const MAX_WARM_MS = 60_000;
/** Requests that are kept open for one model although nobody waits for them. */
const MAX_ABANDONED = 4;
/** Wait before a server is asked again whether it has loaded the model, in ms. */
const POLL_MS = 1000;
/** How servers say with status 503 that a model is not there yet. */
const IS_LOADING = /\bload(?:ing|ed)\b|warming up|starting|initiali[sz]|not ready/i;

/**
 * Sends a request to a model that may not be loaded, and answers once the first byte of the body
 * is there. Ollama, LM Studio and llama-swap load a model at the first request, and stop when the
 * client hangs up. So a request that nobody waits for any more stays open until the model answers,
 * and is then closed. A server that answers 503 while it loads is asked again.
 *
 * @param send sends the request; its signal ends it
 * @param patienceMs how long a loaded model may take to begin its answer
 * @throws ProviderTimeout, the reason of `signal`, or what `send` throws
 */
export async function whenLoaded(
  send: (signal: AbortSignal) => Promise<Response>,
  patienceMs: number,
  { facts, warmMs, maxMs, onLoading }: Loading,
  signal: AbortSignal | null | undefined,
): Promise<Response> {
  const begun = Date.now();
  const wasWarm = begun - facts.answeredAt < warmMs;
  // The first answer may have been slow without any loading.
  const knownMs = Math.max(4 * facts.slowestMs, 1.5 * facts.loadMs);
  const usualMs = Math.max(patienceMs, Math.min(knownMs, MAX_WARM_MS));
  const wire = new AbortController();
  const impatience = new AbortController();
  const giveUp = () => impatience.abort(new ProviderTimeout("did not answer"));
  const timer = setTimeout(giveUp, wasWarm ? usualMs : maxMs);
  const told = wasWarm ? undefined : setTimeout(() => onLoading?.(), TELL_AFTER_MS);
  const loadingSeen = () => {
    clearTimeout(timer);
    onLoading?.();
  };
  const answer = firstByte(sendUntilLoaded(send, wire.signal, begun + maxMs, loadingSeen));
  const noted = answer.then((response) => {
    // A refusal says nothing about the model.
    if (!response.ok) return response;
    facts.answeredAt = Date.now();
    const tookMs = facts.answeredAt - begun;
    if (wasWarm) facts.slowestMs = Math.max(facts.slowestMs, tookMs);
    facts.loadMs = wasWarm ? 0 : tookMs;
    return response;
  });
  const waited = signal ? AbortSignal.any([signal, impatience.signal]) : impatience.signal;
  try {
    const response = await untilAborted(waited, noted);
    signal?.addEventListener("abort", () => wire.abort(signal.reason), { once: true });
    return response;
  } catch (error) {
    if (!waited.aborted) throw error;
    // A prepared answer that is thrown away costs a loaded model nothing.
    if (signal?.aborted && wasWarm) wire.abort(signal.reason);
    else abandon(wire, noted, facts, maxMs);
    // The model may have been unloaded, so the next request waits for longer.
    if (!signal?.aborted) facts.answeredAt = 0;
    throw error;
  } finally {
    clearTimeout(timer);
    clearTimeout(told);
  }
}

/** Lets a request go on until its answer begins, so that the model goes on loading. */
function abandon(
  wire: AbortController,
  answer: Promise<Response>,
  { abandoned }: ModelFacts,
  maxMs: number,
): void {
  const hangUp = () => wire.abort(new ProviderTimeout("did not answer"));
  const timer = setTimeout(hangUp, maxMs);
  abandoned.add(wire);
  const [oldest] = abandoned;
  if (abandoned.size > MAX_ABANDONED) oldest?.abort();
  const over = () => {
    clearTimeout(timer);
    abandoned.delete(wire);
    wire.abort();
  };
  answer.then(over, over);
}

async function sendUntilLoaded(
  send: (signal: AbortSignal) => Promise<Response>,
  signal: AbortSignal,
  until: number,
  loadingSeen: () => void,
): Promise<Response> {
  for (;;) {
    const response = await send(signal);
    if (response.status !== 503 || Date.now() > until) return response;
    const text = await response.text();
    if (!IS_LOADING.test(text)) return new Response(text, response);
    loadingSeen();
    await delay(POLL_MS, undefined, { signal });
  }
}

/** The response, once the first part of its body is there. */
async function firstByte(sent: Promise<Response>): Promise<Response> {
  const response = await sent;
  if (!response.body) return response;
  const reader = response.body.getReader();
  const first = await reader.read();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      if (first.done) controller.close();
      else controller.enqueue(first.value);
    },
    async pull(controller) {
      const { done, value } = await reader.read();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  });
  return new Response(body, response);
}
