import {
  type EndReason,
  roomTakenMessage,
  type Session,
  type SessionMode,
  type SessionRequest,
} from "../domain/session.ts";
import type { SessionLog, SessionStore } from "../domain/stores.ts";
import { Failure } from "../errors.ts";
import { withDeadline } from "../lib/deadline.ts";
import type { StageLease } from "../providers/provider-choice.ts";
import { CurrentSessions } from "./current-sessions.ts";
import { type Ending, endSession, overdue, type SessionLimits, whyEnded } from "./end.ts";
import { type LaunchOptions, launch, startFailure } from "./launch.ts";
import { LiveSession } from "./live-session.ts";
import { LogQueue } from "./log-queue.ts";
import { ForwardClock, RunningTime } from "./running-time.ts";
import { type SessionDefaults, sessionPlan } from "./session-plan.ts";

export interface SessionManagerOptions extends Omit<LaunchOptions, "onEnd"> {
  config: SessionDefaults & SessionLimits & { maxSessions: number };
  /**
   * Leases the stages for a session that starts now.
   * @throws Failure when a stage has no provider
   */
  stages(mode?: SessionMode): StageLease;
  /** What is stored of sessions. */
  sessions: SessionStore;
  log: SessionLog;
  /** Hears why a session could not start: the kind of a `Failure`, or `unexpected`. */
  startFailed?(cause: string): void;
  /** Ms from any origin, which no setting of the system's clock changes. */
  monotonic?: () => number;
}

const RETRY_SECONDS = 30;
/** How often idle sessions and time limits are checked, in ms. */
const CHECK_MS = 1000;
/** How long agents may take to leave at a shutdown, in ms. */
const SHUTDOWN_MS = 4000;

/** The live sessions of this process: admits, watches and ends them. */
export class SessionManager implements AsyncDisposable {
  /** All sessions; those that live are as they are at this moment. */
  readonly sessions: SessionStore;
  readonly #options: SessionManagerOptions;
  readonly #queue: LogQueue;
  readonly #running: RunningTime;
  /** What runs, and which rooms are taken. */
  readonly #live = new Map<string, LiveSession>();
  /** Sessions whose agent has left, but whose end the disk has not taken yet. */
  readonly #unrecorded = new Map<string, LiveSession>();
  readonly #watch: ReturnType<typeof setInterval>;
  readonly #drainBegun = Promise.withResolvers<void>();
  readonly #drained = Promise.withResolvers<void>();
  #draining = false;
  #closed = false;

  constructor(options: SessionManagerOptions) {
    this.#options = options;
    this.#queue = new LogQueue(options);
    this.#running = new RunningTime(options.monotonic);
    this.sessions = new CurrentSessions(options.sessions, {
      find: (id) => (this.#live.get(id) ?? this.#unrecorded.get(id))?.session,
      all: () =>
        [...this.#live.values(), ...this.#unrecorded.values()].map(({ session }) => session),
    });
    this.#watch = setInterval(() => this.#endOverdue(), CHECK_MS);
    this.#watch.unref();
  }

  get liveCount(): number {
    return this.#live.size;
  }

  /** Events that wait until the disk takes them, and those that were given up. */
  get unstored(): { waiting: number; lost: number } {
    return this.#queue.counts;
  }

  /**
   * Starts a session; resolves once its agent is in the room and listens.
   *
   * @param caller aborts when nobody waits for the session any more
   * @throws Failure `conflict` (room taken), `limit`, `unavailable` or `upstream_failed`, and an
   *   Error for a defect; nothing of the session is left then
   */
  async start(request: SessionRequest, caller?: AbortSignal): Promise<Session> {
    try {
      return await this.#start(request, caller);
    } catch (error) {
      this.#options.startFailed?.(error instanceof Failure ? error.kind : "unexpected");
      throw error;
    }
  }

  async #start(request: SessionRequest, caller?: AbortSignal): Promise<Session> {
    this.#assertAdmission(request.room);
    const live = this.#admit(request);
    const started = launch(live, {
      ...this.#options,
      onEnd: (ended, reason) => this.#endByItself(ended, reason),
    });
    live.started = started.then(
      () => {},
      () => {},
    );
    const onGone = () => void this.#end(live, { failed: callerGone() });
    caller?.addEventListener("abort", onGone, { once: true });
    if (caller?.aborted) onGone();
    try {
      await started;
      return live.session;
    } catch (error) {
      const { aborted, reason } = live.abort.signal;
      await this.#end(live, { failed: error });
      throw startFailure(aborted ? reason : error, live, this.#options);
    } finally {
      caller?.removeEventListener("abort", onGone);
    }
  }

  /**
   * Ends a session; resolves when its agent has left the room. Ending it again changes nothing.
   * @throws Failure `not_found` for an unknown session
   */
  async stop(sessionId: string, reason: EndReason = "stopped"): Promise<void> {
    const live = this.#live.get(sessionId);
    if (live) return this.#end(live, { reason });
    if (!this.sessions.find(sessionId)) throw unknownSession();
  }

  /**
   * Hands typed text to the agent.
   * @throws Failure `not_found`, or `conflict` when the session is not active
   */
  async say(sessionId: string, text: string): Promise<void> {
    const live = this.#live.get(sessionId);
    if (!live && !this.sessions.find(sessionId)) throw unknownSession();
    if (!live?.agent || live.ending !== undefined) {
      throw new Failure(
        "conflict",
        "This conversation is not running, so nothing can be said in it.",
      );
    }
    live.noteActivity();
    try {
      await live.agent.say(text);
    } catch (error) {
      const context = { err: error, session_id: sessionId };
      this.#options.logger.error(context, "the agent did not accept typed text");
      throw new Failure("unavailable", "The agent could not take this. Please try again.", {
        cause: error,
      });
    }
  }

  /** Takes no more conversations; resolves when those that run have ended. */
  drain(): Promise<void> {
    this.#draining = true;
    this.#drainBegun.resolve();
    this.#checkDrained();
    return this.#drained.promise;
  }

  /** Resolves when somebody asks for a drain. */
  get drainBegun(): Promise<void> {
    return this.#drainBegun.promise;
  }

  /** Why conversations are not stored at the moment, if so. */
  get storageFailure(): Failure | undefined {
    return this.#queue.failure;
  }

  /**
   * @param room of a conversation to which somebody may return, however soon Parley ends
   * @throws Failure `unavailable` when Parley is about to end
   */
  assertOpen(room?: string): void {
    if (this.#closed) {
      throw new Failure("unavailable", "Parley is shutting down.", { retryAfter: RETRY_SECONDS });
    }
    if (!this.#draining || this.#isTaken(room)) return;
    const restarts = "Parley is about to restart and takes no new conversations. Try again soon.";
    throw new Failure("unavailable", restarts, { retryAfter: RETRY_SECONDS });
  }

  /**
   * Ends every session; afterwards none can start. The end of one whose agent does not leave in time
   * is stored without it. What the disk then refuses is lost.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearInterval(this.#watch);
    const ends = [...this.#live.values()].map((live) => this.#end(live, { reason: "shutdown" }));
    await withDeadline(Promise.allSettled(ends), SHUTDOWN_MS, "ending all conversations").catch(
      (error: unknown) => this.#options.logger.warn({ err: error }, "some agents did not leave"),
    );
    for (const live of this.#live.values()) live.end("shutdown", () => {});
    await this.#queue[Symbol.asyncDispose]();
  }

  #isTaken(room: string | undefined): boolean {
    return [...this.#live.values()].some(({ session }) => session.room === room);
  }

  #assertAdmission(room: string): void {
    if (this.#isTaken(room)) {
      throw new Failure("conflict", roomTakenMessage(room));
    }
    this.assertOpen();
    if (this.#live.size >= this.#options.config.maxSessions) {
      const full = "All conversations this server allows are in use. Try again soon.";
      throw new Failure("limit", full, { retryAfter: RETRY_SECONDS });
    }
  }

  /** Takes room and slot. */
  #admit(request: SessionRequest): LiveSession {
    const { monotonic, logger } = this.#options;
    using unused = new DisposableStack();
    const stages = unused.use(this.#options.stages(request.mode));
    const clock = new ForwardClock(monotonic);
    const session: Session = {
      id: Bun.randomUUIDv7(),
      room: request.room,
      identity: request.identity ?? null,
      name: null,
      ...sessionPlan({ ...this.#options.config, ...stages }, request),
      state: "starting",
      started_at: clock.now(),
      ended_at: null,
      end_reason: null,
    };
    const live = new LiveSession({
      ...{ session, stages, clock, logger },
      log: this.#queue,
      running: () => this.#running.now(),
    });
    this.#live.set(live.id, live);
    unused.move();
    return live;
  }

  #endByItself(live: LiveSession, reason: EndReason): void {
    if (live.ending === undefined) {
      const data = {
        code: `session_${reason}`,
        message: whyEnded(reason, live.lastFailure),
        recoverable: false,
      };
      live.publish({ type: "error", data });
    }
    void this.#end(live, { reason });
  }

  #end(live: LiveSession, ending: Ending): Promise<void> {
    return endSession(live, ending, {
      onLeft: () => {
        this.#live.delete(live.id);
        this.#unrecorded.set(live.id, live);
        this.#checkDrained();
      },
      onStored: () => this.#unrecorded.delete(live.id),
      logger: this.#options.logger,
    });
  }

  #checkDrained(): void {
    if (this.#draining && this.#live.size === 0) this.#drained.resolve();
  }

  #endOverdue(): void {
    const now = this.#running.now();
    for (const live of this.#live.values()) {
      const reason = overdue(live, this.#options.config, now);
      if (reason) void this.#end(live, { reason });
    }
  }
}

function unknownSession(): Failure {
  return new Failure("not_found", "There is no such conversation.");
}

function callerGone(): Failure {
  return new Failure("conflict", "The caller that started the conversation did not wait for it.");
}
