/** Clients give up after some seconds without a byte, in ms. */
const EVERY_MS = 2000;
/** A voice that takes longer for a piece hangs: then silence means what it says. */
const LONGEST_MS = 90_000;
/** Inaudible, and long enough that every format has something to send. */
const SILENCE_S = 0.05;

/**
 * The pieces of a voice, with a moment of silence every two seconds while one is awaited: on a slow
 * or busy machine the client sees that its request is served.
 *
 * @param rate of the pieces, in Hz
 */
export async function* withSigns(
  pieces: AsyncGenerator<Int16Array>,
  rate: number,
  { everyMs = EVERY_MS, longestMs = LONGEST_MS } = {},
): AsyncGenerator<Int16Array> {
  try {
    for (;;) {
      const next = pieces.next();
      for (let waited = 0; waited < longestMs; waited += everyMs) {
        if (await isSettled(next, everyMs)) break;
        yield new Int16Array(rate * SILENCE_S);
      }
      const { done, value } = await next;
      if (done) return;
      yield value;
    }
  } finally {
    // The piece that is being made is not awaited: its request's signal ends it.
    void pieces.return(undefined).catch(() => {});
  }
}

/**
 * Waits until the first piece is there, but no longer than two seconds, so that a voice that fails
 * at once can still set the status of the response.
 *
 * @throws what the voice throws until then
 */
export async function begun(
  pieces: AsyncGenerator<Int16Array>,
  longestMs = EVERY_MS,
): Promise<AsyncGenerator<Int16Array>> {
  const first = pieces.next();
  if (await isSettled(first, longestMs)) await first;
  return resumed(first, pieces);
}

async function* resumed(
  first: Promise<IteratorResult<Int16Array>>,
  rest: AsyncGenerator<Int16Array>,
): AsyncGenerator<Int16Array> {
  try {
    const { done, value } = await first;
    if (done) return;
    yield value;
    yield* rest;
  } finally {
    await rest.return(undefined);
  }
}

/** Whether a promise settles within `ms`. */
async function isSettled(promise: Promise<unknown>, ms: number): Promise<boolean> {
  const { promise: timeout, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(resolve, ms, false);
  try {
    const settled = promise.then(
      () => true,
      () => true,
    );
    return await Promise.race([settled, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
