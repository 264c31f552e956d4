import type { Fault, Stage } from "./faults.ts";

/** A message of a chat request, with its text parts joined. */
export interface ChatMessage {
  role: string;
  content: string;
}

/** What came of a request: `failed` is a fault or a refusal by the stand-in, `aborted` the client. */
export type Outcome = "pending" | "done" | "aborted" | "failed";

/** One request, or one committed stretch of audio of a realtime connection. Times: epoch ms. */
export interface LoggedRequest {
  readonly id: number;
  readonly stage: Stage | "models";
  readonly via: "http" | "realtime";
  readonly at: number;
  outcome: Outcome;
  /** HTTP status of the answer, once there is one. */
  status?: number;
  /** The fault that this request met. */
  fault?: Fault["kind"];
  firstByteAt?: number;
  endedAt?: number;
  /** What the stand-in itself needed to recognise or to speak, in ms; delays are not in it. */
  workMs?: number;
  model?: string;
  /** What was recognised, replied or spoken. */
  text?: string;
  /** Chat: what the client sent. */
  messages?: ChatMessage[];
  /** Speech: the voice that was asked for. */
  voice?: string;
  /** Recognition: the fields `language` and `prompt`, where they were sent. */
  language?: string;
  prompt?: string;
  /** Length in ms of the audio received or made. */
  audioMs?: number;
  /** Realtime: the deltas sent, in order. */
  deltas?: string[];
  /** Whether the client asked for a stream. */
  streaming?: boolean;
  /** Realtime model: what is left of an answer that was interrupted. */
  truncatedTo?: string;
}

/** What happened, in the order of arrival; every change wakes those who wait. */
export class RequestLog {
  readonly entries: LoggedRequest[] = [];
  readonly #watchers = new Set<() => void>();

  /** Opens an entry. */
  begin(stage: LoggedRequest["stage"], via: LoggedRequest["via"] = "http"): LoggedRequest {
    const id = this.entries.length + 1;
    const entry: LoggedRequest = { id, stage, via, at: now(), outcome: "pending" };
    this.entries.push(entry);
    this.#changed();
    return entry;
  }

  /** Notes more about an entry. */
  note(entry: LoggedRequest, what: Partial<Omit<LoggedRequest, "id" | "stage" | "at">>): void {
    Object.assign(entry, what);
    this.#changed();
  }

  /** Closes an entry; only the first outcome counts. */
  end(entry: LoggedRequest, outcome: Exclude<Outcome, "pending">): void {
    if (entry.outcome === "pending") this.note(entry, { outcome, endedAt: now() });
  }

  /**
   * The first request of a stage that fits, now or later.
   *
   * @throws Error with all requests of that stage when none came within `timeoutMs`.
   */
  waitFor(
    stage: LoggedRequest["stage"],
    fits: (request: LoggedRequest) => boolean,
    timeoutMs: number,
  ): Promise<LoggedRequest> {
    const { promise, resolve, reject } = Promise.withResolvers<LoggedRequest>();
    const look = () => {
      const found = this.entries.find((entry) => entry.stage === stage && fits(entry));
      if (found === undefined) return;
      settle();
      resolve(found);
    };
    const timer = setTimeout(() => {
      settle();
      const seen = this.entries.filter((entry) => entry.stage === stage);
      reject(
        new Error(`no fitting ${stage} request in ${timeoutMs} ms among ${JSON.stringify(seen)}`),
      );
    }, timeoutMs);
    const settle = () => {
      clearTimeout(timer);
      this.#watchers.delete(look);
    };
    this.#watchers.add(look);
    look();
    return promise;
  }

  #changed(): void {
    for (const look of [...this.#watchers]) look();
  }
}

/** Epoch ms with fractions; `Date.now()` is too coarse for latencies of a few ms. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}
