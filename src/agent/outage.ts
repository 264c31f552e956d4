/** Wait before the first attempt to connect again, in ms; it doubles up to the longest. */
const BACKOFF_MS = 300;
const MAX_BACKOFF_MS = 2000;
/** A connection that was open for so long, in ms, was a good one. */
const GOOD_CONNECTION_MS = 10_000;

/** How long a server has been away, and how long to wait for it. It ends with an answer. */
export class Outage {
  /** In ms of `performance.now()`. */
  #since: number | undefined;
  #failures = 0;
  #refusals = 0;

  /** How long it has lasted, in ms; 0 if there is none. */
  get lastsMs(): number {
    return this.#since === undefined ? 0 : performance.now() - this.#since;
  }

  /** Failed connections in a row. */
  get failures(): number {
    return this.#failures;
  }

  /** How often in a row the server itself refused. */
  get refusals(): number {
    return this.#refusals;
  }

  /**
   * A connection ended.
   * @param openMs how long it was open; undefined if it never was
   * @returns how long to wait before the next one, in ms
   */
  failed(openMs: number | undefined, isRefusal: boolean): number {
    if (isGood(openMs)) this.over();
    this.#since ??= performance.now();
    this.#failures += 1;
    this.#refusals = isRefusal ? this.#refusals + 1 : 0;
    return Math.min(BACKOFF_MS * 2 ** (this.#failures - 1), MAX_BACKOFF_MS);
  }

  over(): void {
    this.#since = undefined;
    this.#failures = 0;
    this.#refusals = 0;
  }
}

/** Whether a connection was open long enough to have been a good one. */
export function isGood(openMs: number | undefined): boolean {
  return openMs !== undefined && openMs >= GOOD_CONNECTION_MS;
}
