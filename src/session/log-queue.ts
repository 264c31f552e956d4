import type { Logger } from "pino";
import type { EndReason, Session } from "../domain/session.ts";
import type { SessionChange, SessionLog } from "../domain/stores.ts";
import { isEssential, type SessionEvent } from "../domain/transcript.ts";
import { Failure } from "../errors.ts";

/** Something about a session that is still to be stored; `at` is ms since the epoch. */
type Write =
  | { kind: "event"; event: SessionEvent; at: number }
  | { kind: "change"; change: SessionChange }
  | { kind: "end"; reason: EndReason; at: number; stored: () => void }
  | { kind: "discard"; stored: () => void };

const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 5000;
/** How long the event loop is held by one attempt to store what has waited, in ms. */
const SLICE_MS = 10;
/** Hours of a conversation, without its interims. */
const MAX_WAITING = 5000;
/** How often a shutdown tries a disk that refuses. */
const LAST_TRIES = 8;

/**
 * Writes sessions to their log, in order. What the disk refuses waits in memory and is tried again
 * until it is stored, the end of a session included, so that nothing that was said is lost and no
 * conversation depends on the disk.
 */
export class LogQueue implements AsyncDisposable {
  readonly #log: SessionLog;
  readonly #logger: Logger;
  readonly #maxWaiting: number;
  /** What waits, by session. */
  readonly #waiting = new Map<string, Write[]>();
  #failure: Failure | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #retryMs = FIRST_RETRY_MS;
  #lossReported = false;
  #lost = 0;

  /** @param maxWaiting writes of one session that wait at most */
  constructor({ log, logger }: { log: SessionLog; logger: Logger }, maxWaiting = MAX_WAITING) {
    this.#log = log;
    this.#logger = logger;
    this.#maxWaiting = maxWaiting;
  }

  /** Why nothing is stored at the moment; undefined while the disk takes everything. */
  get failure(): Failure | undefined {
    return this.#failure;
  }

  /** How much waits to be stored now, and how much was given up. */
  get counts(): { waiting: number; lost: number } {
    let waiting = 0;
    for (const writes of this.#waiting.values()) waiting += writes.length;
    return { waiting, lost: this.#lost };
  }

  /**
   * Stores a new session at once.
   * @throws Failure `unavailable` when the disk refuses it
   */
  begin(session: Session): void {
    this.#log.begin(session);
  }

  append(id: string, event: SessionEvent, at: number): void {
    this.#write(id, { kind: "event", event, at });
  }

  change(id: string, change: SessionChange): void {
    this.#write(id, { kind: "change", change });
  }

  /** Ends a session and calls `stored` once that is stored. Nothing may be written of it afterwards. */
  end(id: string, reason: EndReason, at: number, stored: () => void): void {
    this.#write(id, { kind: "end", reason, at, stored });
  }

  /** Removes a session that could not start and calls `stored` once it is gone. */
  discard(id: string, stored: () => void): void {
    this.#write(id, { kind: "discard", stored });
  }

  /** Tries for a short time to store what waits, and reports what is lost. */
  async [Symbol.asyncDispose](): Promise<void> {
    let tries = 0;
    while (this.#waiting.size > 0 && tries < LAST_TRIES) {
      const refused = this.#storeSlice() === "refused";
      if (refused) tries += 1;
      await Bun.sleep(refused ? FIRST_RETRY_MS : 0);
    }
    clearTimeout(this.#retry);
    if (this.#waiting.size === 0) return;
    const { waiting: writes } = this.counts;
    const context = { sessions: this.#waiting.size, writes, err: this.#failure };
    this.#logger.error(context, "conversations could not be stored before the end");
  }

  #write(id: string, write: Write): void {
    const waiting = this.#waiting.get(id);
    // While something waits, only the timer tries the disk: an attempt may wait for a lock.
    const mayStore = waiting === undefined && this.#failure === undefined;
    if (mayStore && this.#store(id, write)) return;
    this.#hold(id, waiting ?? [], write);
    this.#retryLater();
  }

  /** @returns false when the disk refused it */
  #store(id: string, write: Write): boolean {
    try {
      this.#apply(id, write);
    } catch (error) {
      if (error instanceof Failure && error.kind === "unavailable") {
        this.#refused(error);
        return false;
      }
      const context = { err: error, session_id: id, what: write.kind };
      this.#logger.error(context, "an event of a session was lost");
      this.#lost++;
    }
    if ("stored" in write) write.stored();
    return true;
  }

  #apply(id: string, write: Write): void {
    switch (write.kind) {
      case "event":
        this.#log.append(id, write.event, write.at);
        return;
      case "change":
        this.#log.change(id, write.change);
        return;
      case "end":
        this.#log.end(id, write.reason, write.at);
        return;
      case "discard":
        this.#log.discard(id);
    }
  }

  #refused(failure: Failure): void {
    if (this.#failure === undefined) {
      this.#logger.error({ err: failure }, "conversations wait in memory until they can be stored");
    }
    this.#failure = failure;
  }

  #retryLater(ms = this.#retryMs): void {
    if (this.#retry !== undefined) return;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#flush();
    }, ms);
    this.#retry.unref();
  }

  /** Stores what waits, as far as the disk takes it, in slices that leave the event loop free. */
  #flush(): void {
    const outcome = this.#storeSlice();
    if (outcome === "refused") {
      this.#retryLater();
      this.#retryMs = Math.min(2 * this.#retryMs, LAST_RETRY_MS);
    } else if (outcome === "more") {
      this.#retryLater(0);
    } else {
      if (this.#failure) this.#logger.warn("conversations are stored again");
      this.#failure = undefined;
      this.#retryMs = FIRST_RETRY_MS;
      this.#lossReported = false;
    }
  }

  #storeSlice(): "refused" | "more" | "done" {
    const until = performance.now() + SLICE_MS;
    for (const [id, waiting] of this.#waiting) {
      for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
        if (!this.#store(id, next)) return "refused";
        waiting.shift();
        if (performance.now() > until) return "more";
      }
      this.#waiting.delete(id);
    }
    return "done";
  }

  /** Adds to what waits, and drops what it replaces. */
  #hold(id: string, waiting: Write[], write: Write): void {
    const kept = waiting.filter((earlier) => !replaces(write, earlier));
    kept.push(write);
    this.#waiting.set(id, kept.length > this.#maxWaiting ? this.#withoutOldest(id, kept) : kept);
  }

  #withoutOldest(id: string, waiting: Write[]): Write[] {
    if (!this.#lossReported) {
      this.#lossReported = true;
      this.#logger.error(
        { session_id: id },
        "too many events wait to be stored: the oldest are lost",
      );
    }
    this.#lost++;
    const dispensable = waiting.findIndex(isDispensable);
    const oldest =
      dispensable >= 0 ? dispensable : waiting.findIndex(({ kind }) => kind === "event");
    return waiting.toSpliced(oldest, 1);
  }
}

/** An interim is of no use once a newer transcript of its segment waits. */
function replaces(write: Write, earlier: Write): boolean {
  if (write.kind !== "event" || earlier.kind !== "event") return false;
  const [newer, older] = [write.event, earlier.event];
  if (newer.type !== "transcript" || older.type !== "transcript" || older.data.final) return false;
  return newer.data.segment_id === older.data.segment_id;
}

function isDispensable(write: Write): boolean {
  return write.kind === "event" && !isEssential(write.event);
}
