/**
 * How long a test waits for anything, ms. It ends what hangs and judges no speed: on a busy machine
 * the first session of a process, which loads the agent, has taken half a minute.
 */
export const TIMEOUT_MS = 120_000;

/**
 * What comes of `work`, unless it takes too long.
 *
 * @param found tells what there was instead, for the message of a failure
 * @throws Error that says what was waited for and what was found, after `ms`
 */
export async function within<T>(
  what: string,
  work: Promise<T>,
  found: () => unknown = () => "",
  ms = TIMEOUT_MS,
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(async () => {
      const instead = await found();
      reject(new Error(`${what}: not within ${ms} ms. ${JSON.stringify(instead, null, 1)}`));
    }, ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Asks again and again until the answer fits.
 *
 * @throws Error with the last answer, after `ms`
 */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T>,
  fits: (answer: T) => boolean,
  ms = TIMEOUT_MS,
): Promise<T> {
  const deadline = Date.now() + ms;
  for (;;) {
    const answer = await ask();
    if (fits(answer)) return answer;
    if (Date.now() > deadline) {
      throw new Error(`${what}: not within ${ms} ms. ${JSON.stringify(answer, null, 1)}`);
    }
    await Bun.sleep(25);
  }
}
