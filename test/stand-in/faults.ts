/** The parts of a voice agent that a provider serves. */
export type Stage = "stt" | "llm" | "tts";

/**
 * What can go wrong: an HTTP error status; no answer at all until the client gives up; a
 * connection that breaks half way through the answer; a connection reset before any answer.
 * On an open realtime connection they happen at the next commit; `status` is an `error` event.
 */
export type Fault =
  | { kind: "status"; status: number; retryAfterSeconds?: number }
  | { kind: "hang" }
  | { kind: "cut" }
  | { kind: "refuse" };

/** A number for each stage. */
export type PerStage = Record<Stage, number>;

/** What tests turn while the stand-in runs. */
export class Controls {
  /** Wait in ms before the first byte of an answer. */
  readonly delays: PerStage = { stt: 0, llm: 0, tts: 0 };
  /** Wait in ms between the parts of an answer: words of a chat, 100 ms of speech. */
  readonly pace: PerStage = { stt: 0, llm: 0, tts: 0 };
  readonly #faults: Record<Stage, { fault: Fault; times: number }[]> = {
    stt: [],
    llm: [],
    tts: [],
  };

  /** Makes the next `times` requests of a stage fail, after faults that wait already. */
  fail(stage: Stage, fault: Fault, times = 1): void {
    this.#faults[stage].push({ fault, times });
  }

  /** Forgets the faults that wait, of one stage or of all. */
  heal(stage?: Stage): void {
    for (const each of stage === undefined ? (["stt", "llm", "tts"] as const) : [stage]) {
      this.#faults[each] = [];
    }
  }

  /** The fault that the request at hand meets, if any; it is used up. */
  take(stage: Stage): Fault | undefined {
    const waiting = this.#faults[stage];
    const next = waiting[0];
    if (next === undefined) return undefined;
    next.times--;
    if (next.times <= 0) waiting.shift();
    return next.fault;
  }
}

/** A wait of `ms` that ends early, and is then false, when `signal` aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return Promise.resolve(false);
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const stop = () => {
    clearTimeout(timer);
    resolve(false);
  };
  const timer = setTimeout(() => {
    signal.removeEventListener("abort", stop);
    resolve(true);
  }, ms);
  signal.addEventListener("abort", stop, { once: true });
  return promise;
}
