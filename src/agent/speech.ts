import { ReadableStream } from "node:stream/web";
import { setTimeout as delay } from "node:timers/promises";
import type { APIConnectOptions, tts as ttss } from "@livekit/agents";
import type { AudioFrame } from "@livekit/rtc-node";
import { spokenPieces } from "../spoken-text/spoken-pieces.ts";

/** Sentences that are requested while one is received, so that no pause is heard between them. */
const MAX_AHEAD = 2;
/**
 * A request leaves when the voice has begun to answer the one before, or after this time in ms: a
 * server with one worker speaks the first sentence first.
 */
const STAGGER_MS = 300;

export interface SpeechOptions {
  tts: ttss.TTS;
  /** An ISO 639-1 code; null: the text tells the language. */
  language: string | null;
  /** What was said before, which tells the language of an answer without words. */
  context: string;
  /** False once the answer was interrupted or discarded; what is left is not requested then. */
  isWanted(): boolean;
  connOptions: APIConnectOptions;
}

/**
 * Speaks an answer while it is written: each sentence is one request to the voice. Cancelling the
 * stream ends all requests.
 *
 * @throws nothing: the voice reports its failures as `error` events, and the other sentences follow
 */
export function speak(
  text: ReadableStream<string> | AsyncIterable<string>,
  { tts, language, context, isWanted, connOptions }: SpeechOptions,
): ReadableStream<AudioFrame> {
  const stopped = new AbortController();
  const source = text instanceof ReadableStream ? text.values() : text[Symbol.asyncIterator]();
  const pieces = spokenPieces(source, language, context);
  let begun: Promise<unknown> = Promise.resolve();
  const requests = new ReadableStream<AsyncGenerator<AudioFrame>>(
    {
      async pull(controller) {
        const { done, value } = await pieces.next();
        await Promise.race([begun, delay(STAGGER_MS)]);
        if (stopped.signal.aborted) return;
        if (done || !isWanted()) return controller.close();
        const request = tts.synthesize(value, connOptions, stopped.signal);
        const first = request.next();
        begun = first;
        controller.enqueue(framesOf(first, request));
      },
    },
    { highWaterMark: MAX_AHEAD },
  );
  const frames = inOrder(requests);
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await frames.next();
      if (stopped.signal.aborted) return;
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      stopped.abort();
      await source.return?.();
    },
  });
}

async function* framesOf(
  first: ReturnType<ttss.ChunkedStream["next"]>,
  rest: ttss.ChunkedStream,
): AsyncGenerator<AudioFrame> {
  const { done, value } = await first;
  if (done) return;
  yield value.frame;
  for await (const { frame } of rest) yield frame;
}

async function* inOrder(
  requests: ReadableStream<AsyncGenerator<AudioFrame>>,
): AsyncGenerator<AudioFrame> {
  for await (const frames of requests) yield* frames;
}
