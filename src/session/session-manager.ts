import type { EndReason, Session, SessionMode, SessionRequest } from "../domain/session.ts";
import type { SessionLog, SessionStore } from "../domain/stores.ts";
import { Failure } from "../errors.ts";
import type { StageLease } from "../providers/provider-choice.ts";
import { endSession, overdue, type SessionLimits, whyEnded } from "./end.ts";
import { type LaunchOptions, launch, startFailure } from "./launch.ts";
import { LiveSession } from "./live-session.ts";
import { type SessionDefaults, sessionPlan } from "./session-plan.ts";

export interface SessionManagerOptions extends Omit<LaunchOptions, "onEnd"> {
  config: SessionDefaults & SessionLimits & { maxSessions: number };
  /**
   * Leases the stages for a session that starts now.
   * @throws Failure when a stage has no provider
   */
  stages(mode?: SessionMode): StageLease;
  sessions: Pick<SessionStore, "find">;
  log: SessionLog;
}

const RETRY_AFTER_SECONDS = 30;
/** How often idle sessions and time limits are checked, in ms. */
const CHECK_MS = 1000;

/** The live sessions of this process: admits, watches and ends them. */
export class SessionManager implements AsyncDisposable {
  readonly #options: SessionManagerOptions;
  readonly #live = new Map<string, LiveSession>();
  readonly #watch: ReturnType<typeof setInterval>;
  #closed = false;

  constructor(options: SessionManagerOptions) {
    this.#options = options;
    this.#watch = setInterval(() => this.#endOverdue(), CHECK_MS);
    this.#watch.unref();
  }

  get liveCount(): number {
    return this.#live.size;
  }

  /**
   * Starts a session; resolves once its agent is in the room and listens.
   *
   * @throws Failure `conflict` (room taken), `limit`, `unavailable` or `upstream_failed`; nothing
   *   of the session is left then
   */
  async start(request: SessionRequest): Promise<Session> {
    this.#assertAdmission(request.room);
    using unused = new DisposableStack();
    const stages = unused.use(this.#options.stages(request.mode));
    const live = this.#admit(this.#newSession(request, stages), stages);
    unused.move();
    const started = launch(live, {
      ...this.#options,
      onEnd: (ended, reason) => this.#endByItself(ended, reason),
    });
    live.started = started.then(
      () => {},
      () => {},
    );
    try {
      await started;
      return live.session;
    } catch (error) {
      const { aborted, reason } = live.abort.signal;
      live.ending ??= this.#discard(live);
      await live.ending;
      throw startFailure(aborted ? reason : error, this.#options);
    }
  }

  /**
   * Ends a session; resolves when its agent has left the room. Ending it again changes nothing.
   * @throws Failure `not_found` for an unknown session
   */
  async stop(sessionId: string, reason: EndReason = "stopped"): Promise<void> {
    const live = this.#live.get(sessionId);
    if (live) return this.#end(live, reason);
    if (!this.#options.sessions.find(sessionId)) throw unknownSession();
  }

  /**
   * Hands typed text to the agent.
   * @throws Failure `not_found`, or `conflict` when the session is not active
   */
  async say(sessionId: string, text: string): Promise<void> {
    const live = this.#live.get(sessionId);
    if (!live && !this.#options.sessions.find(sessionId)) throw unknownSession();
    if (!live?.agent || live.ending !== undefined) {
      throw new Failure(
        "conflict",
        "This conversation is not running, so nothing can be said in it.",
      );
    }
    live.lastActivity = Date.now();
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

  /** Ends every session; afterwards none can start. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearInterval(this.#watch);
    await Promise.allSettled([...this.#live.values()].map((live) => this.#end(live, "shutdown")));
  }

  #assertAdmission(room: string): void {
    if (this.#closed) throw new Failure("unavailable", "Parley is shutting down.");
    const taken = [...this.#live.values()].some(({ session }) => session.room === room);
    if (taken) {
      throw new Failure(
        "conflict",
        `The room ${JSON.stringify(room)} already has a conversation. Choose another room, or stop that conversation first.`,
      );
    }
    if (this.#live.size >= this.#options.config.maxSessions) {
      const full = "All conversations this server allows are in use. Try again soon.";
      throw new Failure("limit", full, { retryAfter: RETRY_AFTER_SECONDS });
    }
  }

  #newSession(request: SessionRequest, stages: StageLease): Session {
    return {
      id: Bun.randomUUIDv7(),
      room: request.room,
      identity: request.identity ?? null,
      name: null,
      ...sessionPlan({ ...this.#options.config, ...stages }, request),
      state: "starting",
      started_at: Date.now(),
      ended_at: null,
      end_reason: null,
    };
  }

  #admit(session: Session, stages: StageLease): LiveSession {
    const live = new LiveSession({ ...this.#options, session, stages });
    this.#options.log.begin(session);
    this.#live.set(live.id, live);
    return live;
  }

  /** Removes a session that could not start; only its subscribers hear of it. */
  async #discard(live: LiveSession): Promise<void> {
    await live.closeAgent();
    this.#live.delete(live.id);
    this.#options.log.discard(live.id);
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
    void this.#end(live, reason);
  }

  #end(live: LiveSession, reason: EndReason): Promise<void> {
    const forget = ({ id }: LiveSession) => this.#live.delete(id);
    return endSession(live, reason, { forget, logger: this.#options.logger });
  }

  #endOverdue(): void {
    for (const live of this.#live.values()) {
      const reason = overdue(live, this.#options.config, Date.now());
      if (reason) void this.#end(live, reason);
    }
  }
}

function unknownSession(): Failure {
  return new Failure("not_found", "There is no such conversation.");
}
