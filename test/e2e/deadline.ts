/**
 * What comes of `work`, unless it takes too long.
 *
 * @param found tells what there was instead, for whoever reads the failure
 * @throws Error that says what was waited for and what was found, after `ms`
 */
export async function within<T>(
  ms: number,
  what: string,
  work: Promise<T>,
  found: () => unknown = () => "",
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
  ms = 5000,
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
