import { setTimeout as delay } from "node:timers/promises";
import { Failure, messageOf } from "../errors.ts";

/** How long a server that answered counts as reachable, in ms. */
const KNOWN_MS = 30_000;
const PROBE_TIMEOUT_MS = 3000;
const RETRY_MS = 300;

/**
 * Asks whether a LiveKit server elsewhere can be reached, without keys. Any answer but a gateway's
 * error counts. All callers share one request, and a good answer is remembered for 30 s, so that
 * tokens do not wait for a request each.
 *
 * @param giveUpMs how long a server that does not answer is asked again
 * @returns a function that resolves when it can be reached, and rejects with a Failure
 */
export function reachability(url: string, giveUpMs: number): () => Promise<void> {
  const address = url.replace(/^ws/, "http");
  let knownUntil = 0;
  let asking: Promise<void> | undefined;

  async function ask(): Promise<void> {
    const deadline = performance.now() + giveUpMs;
    for (;;) {
      const problem = await problemAt(address);
      if (problem === undefined) {
        knownUntil = performance.now() + KNOWN_MS;
        return;
      }
      if (performance.now() > deadline) {
        const { host } = new URL(url);
        throw new Failure("unavailable", `LiveKit at ${host} does not answer: ${problem}`);
      }
      await delay(RETRY_MS);
    }
  }

  return async () => {
    if (performance.now() < knownUntil) return;
    asking ??= ask().finally(() => {
      asking = undefined;
    });
    await asking;
  };
}

async function problemAt(address: string): Promise<string | undefined> {
  try {
    const response = await fetch(address, {
      method: "HEAD",
      redirect: "manual",
      signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
    });
    return response.status < 500 ? undefined : `it answered ${response.status}`;
  } catch (error) {
    return messageOf(error);
  }
}
