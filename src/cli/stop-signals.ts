/**
 * Signals this close together count as one. A terminal or a supervisor signals the whole process
 * group, and npm and the scripts around Parley forward the signal as well.
 */
const SAME_SIGNAL_MS = 400;

/** What `parley drain` sends. A second one changes nothing, unlike a second SIGTERM. */
export const DRAIN_SIGNAL = "SIGUSR2";

type StopSignal = "SIGINT" | "SIGTERM" | typeof DRAIN_SIGNAL;

/**
 * What the signals of this process ask for. SIGTERM asks to end once the conversations have ended,
 * SIGINT and a second SIGTERM to end now, and one more kills the process, even if it hangs.
 */
export class StopSignals {
  readonly #drain = Promise.withResolvers<void>();
  readonly #quick = Promise.withResolvers<void>();
  readonly #kill: () => void;
  #state: "running" | "draining" | "stopping" = "running";
  #since = Number.NEGATIVE_INFINITY;

  /** @param kill ends the process at once */
  constructor(kill: () => void) {
    this.#kill = kill;
  }

  /** Resolves when a drain is asked for. */
  get drain(): Promise<void> {
    return this.#drain.promise;
  }

  /** Resolves when an end is asked for now. */
  get quick(): Promise<void> {
    return this.#quick.promise;
  }

  /** @param now ms of the monotonic clock */
  receive(signal: StopSignal, now: number): void {
    const isEcho = now - this.#since < SAME_SIGNAL_MS;
    switch (this.#state) {
      case "running":
        if (signal === "SIGINT") {
          this.#stop(now);
        } else {
          this.#enter("draining", now);
          this.#drain.resolve();
        }
        return;
      case "draining":
        if (signal === "SIGINT" || (signal === "SIGTERM" && !isEcho)) this.#stop(now);
        return;
      case "stopping":
        if (signal !== DRAIN_SIGNAL && !isEcho) this.#kill();
    }
  }

  /** The end has begun, so the next signal kills. */
  stopping(now: number): void {
    if (this.#state !== "stopping") this.#enter("stopping", now);
  }

  #stop(now: number): void {
    this.#enter("stopping", now);
    this.#quick.resolve();
  }

  #enter(state: "draining" | "stopping", now: number): void {
    this.#state = state;
    this.#since = now;
  }
}
