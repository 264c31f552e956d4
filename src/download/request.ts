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

/** The server cannot answer now (429 or 5xx), but may do so later. */
export class Busy extends Failure {
  /** How long the server wants to be left alone, in ms; 0 if it does not say. */
  readonly waitMs: number;

  constructor(url: string, { status, headers }: Response) {
    super("unavailable", `${url} answered ${status}`);
    this.waitMs = retryAfterMs(headers.get("retry-after"));
  }
}

/** Seconds or a date; see RFC 9110, section 10.2.3. */
function retryAfterMs(value: string | null): number {
  if (value === null) return 0;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Math.max(0, ms || 0);
}

/**
 * Requests a file, through the proxies that the environment names.
 *
 * @param options `accepted`: error statuses whose response is returned instead of thrown
 * @throws Failure when the server cannot be reached, is busy or refuses
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
    if (response.status === 429 || response.status >= 500) throw new Busy(url, response);
    throw new Failure("unavailable", `${url} answered ${response.status}`);
  }
  return response;
}
