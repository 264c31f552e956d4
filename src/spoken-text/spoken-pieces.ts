import { SpokenText } from "./spoken-text.ts";

/** After this pause of the text, in ms, a sentence that could be complete is. */
const PAUSE_MS = 400;

/**
 * The pieces of an answer to be spoken, each as soon as it is known.
 *
 * @param text Markdown as it arrives; if it fails, what came is still spoken
 * @param language an ISO 639-1 code; null: it is detected in the text
 * @param context what was said before
 */
export async function* spokenPieces(
  text: AsyncIterator<string>,
  language: string | null,
  context: string,
): AsyncGenerator<string> {
  const spoken = new SpokenText(language, context);
  for (;;) {
    const next = text.next().catch(() => ({ done: true, value: undefined }) as const);
    if (await isLate(next)) yield* spoken.settle();
    const chunk = await next;
    if (chunk.done) break;
    yield* spoken.push(chunk.value);
  }
  yield* spoken.end();
}

async function isLate(next: Promise<unknown>): Promise<boolean> {
  const { promise: pause, resolve } = Promise.withResolvers<true>();
  const timer = setTimeout(resolve, PAUSE_MS, true);
  try {
    return await Promise.race([pause, next.then(() => false)]);
  } finally {
    clearTimeout(timer);
  }
}
