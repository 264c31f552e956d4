const TICK_MS = 100;

/**
 * Notices when this process does not run: a blocked event loop, SIGSTOP, a machine without time
 * for it. What was measured meanwhile says nothing about others.
 */
export class PauseWatch implements Disposable {
  readonly #timer: ReturnType<typeof setInterval>;
  #last = performance.now();
  #longestMs = 0;

  constructor() {
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#timer.unref();
  }

  /** The longest pause so far, in ms. */
  get longestMs(): number {
    this.#tick();
    return this.#longestMs;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const now = performance.now();
    this.#longestMs = Math.max(this.#longestMs, now - this.#last - TICK_MS);
    this.#last = now;
  }
}
