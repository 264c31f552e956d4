import { Failure, messageOf } from "../errors.ts";

const STALL_MS = 30_000;

/** Aborts a request that stalls. */
export interface Watchdog extends Disposable {
  /** Aborts when no data arrives for too long, or when the caller's signal does. */
  signal: AbortSignal;
  caller: AbortSignal | undefined;
  /** Must be called whenever data arrives. */
  keepAlive(): void;
  /** Why the request failed: the stall, or the error's own message. */
  reason(error: unknown): string;
}

/** @param options the caller's signal, and how long the server may send nothing */
export function watchdog(options: {
  signal?: AbortSignal | undefined;
  stallMs?: number | undefined;
}): Watchdog {
  const { signal: caller, stallMs = STALL_MS } = options;
  const stall = new AbortController();
  const timer = setTimeout(() => stall.abort(), stallMs);
  return {
    caller,
    signal: caller ? AbortSignal.any([caller, stall.signal]) : stall.signal,
    keepAlive: () => void timer.refresh(),
    reason: (error) =>
      stall.signal.aborted ? `no data came for ${stallMs / 1000} s` : messageOf(error),
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}

/** The server did not answer at all; one that refuses is a plain `Failure`. */
export class Unreachable extends Failure {}

/**
 * Requests a file, through the proxies that the environment names.
 *
 * @param options `accepted`: error statuses whose response is returned instead of thrown
 * @throws Failure when the server cannot be reached or refuses
 */
export async function request(
  url: string,
  watch: Watchdog,
  options: { headers?: Record<string, string>; accepted?: readonly number[] } = {},
): Promise<Response> {
  const { headers = {}, accepted = [] } = options;
  let response: Response;
  try {
    response = await fetch(url, { headers, signal: watch.signal });
  } catch (error) {
    watch.caller?.throwIfAborted();
    const { host } = new URL(url);
    throw new Unreachable("unavailable", `${host} cannot be reached: ${watch.reason(error)}`, {
      cause: error,
    });
  }
  watch.keepAlive();
  if (!response.ok && !accepted.includes(response.status)) {
    await response.body?.cancel();
    throw new Failure("unavailable", `${url} answered ${response.status}`);
  }
  return response;
}
