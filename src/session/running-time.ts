/** A longer gap between two looks at the clock is no time in which anybody could talk, in ms. */
const MAX_GAP_MS = 5000;

/**
 * Counts the time in which this process runs, in ms, for idleness and limits. The system's clock may
 * be set while people talk, so it is not used; and a machine that was suspended, or a process that
 * was stopped, continues where it was. Something must look at it every few seconds.
 */
export class RunningTime {
  readonly #monotonic: () => number;
  #seen: number;
  #counted = 0;

  /** @param monotonic ms, from any origin */
  constructor(monotonic: () => number = () => performance.now()) {
    this.#monotonic = monotonic;
    this.#seen = monotonic();
  }

  now(): number {
    const now = this.#monotonic();
    this.#counted += Math.min(Math.max(0, now - this.#seen), MAX_GAP_MS);
    this.#seen = now;
    return this.#counted;
  }
}

/**
 * The wall clock as one session sees it, in ms since the epoch: when the system's clock is set back,
 * it runs on from where it was, so that nothing ends before it started.
 */
export class ForwardClock {
  readonly #monotonic: () => number;
  #seen: number;
  #now = Date.now();

  /** @param monotonic ms, from any origin */
  constructor(monotonic: () => number = () => performance.now()) {
    this.#monotonic = monotonic;
    this.#seen = monotonic();
  }

  now(): number {
    const seen = this.#monotonic();
    this.#now = Math.max(Date.now(), this.#now + (seen - this.#seen));
    this.#seen = seen;
    return Math.round(this.#now);
  }
}
