import type { Logger } from "pino";
import type { Agent, AgentStack } from "../agent/agent-stack.ts";
import {
  type AgentSignal,
  initialTranscriptState,
  normalize,
  type TranscriptState,
} from "../agent/normalize-events.ts";
import type { Config, Stages } from "../config.ts";
import {
  AGENT_IDENTITY_PREFIX,
  type EndReason,
  type Session,
  type SessionRequest,
  type SessionStore,
} from "../domain/session.ts";
import type { SessionEvent } from "../domain/transcript.ts";
import { Failure } from "../errors.ts";
import { untilAborted, withDeadline } from "../lib/deadline.ts";
import type { ProviderCheck } from "../providers/provider-check.ts";
import { providersOf, sessionPlan, sttModelFor } from "./session-plan.ts";

export interface AgentManagerOptions {
  config: Pick<
    Config,
    "systemPrompt" | "greeting" | "maxSessions" | "sessionMaxMs" | "sessionIdleMs"
  >;
  /**
   * Who serves a session that starts now, until it disposes of it; `ready` waits for what runs on
   * this machine. @throws Failure when a stage has nobody
   */
  stages(): Stages & { ready(): Promise<void> } & Disposable;
  sessions: SessionStore;
  /** Stores an event and sends it to whoever listens. */
  publish(sessionId: string, event: SessionEvent): void;
  stack(): Promise<AgentStack>;
  /** `mend` says what to do when agents cannot reach it. */
  livekit: { url: string; ready: Promise<void>; mend: string };
  /** A token with which the agent joins a room. */
  token(room: string, identity: string): Promise<string>;
  providers: Pick<ProviderCheck, "assertReady" | "answersRealtime">;
  node: string;
  logger: Logger;
}

/** How long a person may be away, a reload for example, before the session ends, in ms. */
const RETURN_MS = 15_000;
const LIVEKIT_READY_MS = 15_000;
const RETRY_AFTER_SECONDS = 30;
/** How often idleness and the time limit are looked at, in ms. */
const CHECK_MS = 1000;

interface LiveSession {
  session: Session;
  readonly stages: ReturnType<AgentManagerOptions["stages"]>;
  agent: Agent | undefined;
  transcript: TranscriptState;
  /** Aborted by a stop while the session is still starting. */
  abort: AbortController;
  started: Promise<void>;
  ending: Promise<void> | undefined;
  userLeftAt: number | undefined;
  lastActivity: number;
}

/** The live sessions of this process: starts, watches and ends them. */
export class AgentManager implements AsyncDisposable {
  readonly #options: AgentManagerOptions;
  readonly #live = new Map<string, LiveSession>();
  readonly #watch: ReturnType<typeof setInterval>;
  #closed = false;

  constructor(options: AgentManagerOptions) {
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
    this.#assertRoomFor(request.room);
    using unused = new DisposableStack();
    const stages = unused.use(this.#options.stages());
    const live = this.#admit(this.#newSession(request, stages), stages);
    unused.move();
    const started = this.#launch(live);
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
      throw this.#explainStart(aborted ? reason : error);
    }
  }

  /** Nobody hears of a session that could not start, except who already listens to it. */
  async #discard(live: LiveSession): Promise<void> {
    const { id } = live.session;
    await this.#closeAgent(live);
    const data = { state: "ended", reason: "agent_failed" } as const;
    this.#publish(id, { type: "session", data });
    this.#live.delete(id);
    this.#options.sessions.delete(id);
  }

  async #closeAgent(live: LiveSession): Promise<void> {
    using _stages = live.stages;
    try {
      await live.agent?.close();
    } catch (error) {
      const context = { err: error, session_id: live.session.id };
      this.#options.logger.error(context, "a session did not close cleanly");
    }
  }

  /** A session goes on, and can be ended, also while its events cannot be stored. */
  #publish(sessionId: string, event: SessionEvent): void {
    try {
      this.#options.publish(sessionId, event);
    } catch (error) {
      const context = { err: error, session_id: sessionId, type: event.type };
      this.#options.logger.error(context, "an event of a session was lost");
    }
  }

  #assertRoomFor(room: string): void {
    if (this.#closed) throw new Failure("unavailable", "Parley is shutting down.");
    const taken = this.#options.sessions.live().some((session) => session.room === room);
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

  #newSession(request: SessionRequest, stages: Stages): Session {
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
      node: this.#options.node,
    };
  }

  #admit(session: Session, stages: LiveSession["stages"]): LiveSession {
    this.#options.sessions.insert(session);
    const live: LiveSession = {
      session,
      stages,
      agent: undefined,
      transcript: initialTranscriptState,
      abort: new AbortController(),
      started: Promise.resolve(),
      ending: undefined,
      userLeftAt: undefined,
      lastActivity: Date.now(),
    };
    this.#live.set(session.id, live);
    this.#publish(session.id, { type: "session", data: { state: "starting" } });
    return live;
  }

  async #launch(live: LiveSession): Promise<void> {
    const { livekit, providers, stack, token, logger } = this.#options;
    const { session, stages, abort } = live;
    // A stop need not wait for any of these; each leaves nothing behind when it comes too late.
    const orAborted = <T>(work: Promise<T>) => untilAborted(abort.signal, work);
    await orAborted(stages.ready());
    const ready = Promise.all([livekit.ready, providers.assertReady(providersOf(stages))]);
    await withDeadline(orAborted(ready), LIVEKIT_READY_MS, "starting LiveKit");
    const loaded = await orAborted(stack().catch(cannotLoad));
    const realtime = await orAborted(this.#usesRealtime(live));
    this.#update(live, { stt_model: sttModelFor(stages.stt, realtime) });
    const agent = await loaded.start(
      {
        url: livekit.url,
        token: await token(session.room, agentIdentity(session.id)),
        userIdentity: session.identity ?? undefined,
        instructions: session.system_prompt,
        greeting: session.greeting,
        pipeline: {
          stt: {
            ...stageOptions(stages.stt, session),
            model: live.session.stt_model,
            realtime,
            language: session.language,
          },
          llm: { ...stageOptions(stages.llm, session), model: session.llm_model },
          tts: {
            ...stageOptions(stages.tts, session),
            model: session.tts_model,
            voice: session.voice,
          },
        },
        logger: logger.child({ session_id: session.id }),
        onSignal: (signal) => this.#receive(live, signal),
        onUser: (user) => this.#userChanged(live, user),
        onEnd: (reason) => this.#endByItself(live, reason),
      },
      abort.signal,
    );
    live.agent = agent;
    // Whoever aborted the start closes the agent.
    abort.signal.throwIfAborted();
    this.#update(live, { state: "active" });
    this.#publish(session.id, { type: "session", data: { state: "active" } });
    logger.info({ session_id: session.id, room: session.room }, "session started");
  }

  async #usesRealtime({ session, stages }: LiveSession): Promise<boolean> {
    const { stt } = stages;
    if (stt.realtime !== "auto") return stt.realtime;
    return this.#options.providers.answersRealtime({ stage: "stt", ...stt }, session.stt_model);
  }

  #explainStart(error: unknown): Failure {
    if (error instanceof Failure) {
      this.#options.logger.warn({ err: error }, "a session could not start");
      return error;
    }
    if (error instanceof EndedWhileStarting) {
      return error.reason === "stopped"
        ? new Failure("conflict", "The conversation was stopped while it was starting.")
        : new Failure("unavailable", whyEnded(error.reason));
    }
    this.#options.logger.error({ err: error }, "a session could not start");
    return new Failure(
      "unavailable",
      `The agent could not join the room: LiveKit at ${this.#options.livekit.url} does not answer. ${this.#options.livekit.mend}`,
      { cause: error },
    );
  }

  /**
   * Ends a session; resolves when its agent has left the room. Ending it again changes nothing.
   * @throws Failure `not_found` for a session nobody knows
   */
  async stop(sessionId: string, reason: EndReason = "stopped"): Promise<void> {
    const live = this.#live.get(sessionId);
    if (live) return this.#end(live, reason);
    if (!this.#options.sessions.find(sessionId)) throw unknownSession();
  }

  /**
   * Hands typed words to the agent.
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
      this.#options.logger.error({ err: error, session_id: sessionId }, "the agent took no text");
      throw new Failure("unavailable", "The agent could not take this. Please try again.", {
        cause: error,
      });
    }
  }

  #endByItself(live: LiveSession, reason: EndReason): void {
    if (live.ending === undefined) {
      const data = { code: `session_${reason}`, message: whyEnded(reason), recoverable: false };
      this.#publish(live.session.id, { type: "error", data });
    }
    void this.#end(live, reason);
  }

  #end(live: LiveSession, reason: EndReason): Promise<void> {
    live.ending ??= this.#endOnce(live, reason);
    return live.ending;
  }

  async #endOnce(live: LiveSession, reason: EndReason): Promise<void> {
    const { id } = live.session;
    live.abort.abort(new EndedWhileStarting(reason));
    try {
      this.#update(live, { state: "ending" });
      this.#publish(id, { type: "session", data: { state: "ending", reason } });
    } finally {
      await live.started;
      await this.#closeAgent(live);
      this.#receive(live, { kind: "close" });
      this.#live.delete(id);
      this.#update(live, { state: "ended", ended_at: Date.now(), end_reason: reason });
      this.#publish(id, { type: "session", data: { state: "ended", reason } });
      this.#options.logger.info({ session_id: id, reason }, "session ended");
    }
  }

  #update(live: LiveSession, change: Partial<Session>): void {
    live.session = { ...live.session, ...change };
    this.#options.sessions.update(live.session.id, change);
  }

  #receive(live: LiveSession, signal: AgentSignal): void {
    if (live.session.state === "ended") return;
    if (signal.kind !== "agent_state" && signal.kind !== "error") live.lastActivity = Date.now();
    const { session } = live;
    const { state, events } = normalize(live.transcript, signal, {
      now: Date.now(),
      newId: Bun.randomUUIDv7(),
      userIdentity: session.identity ?? "",
      agentIdentity: agentIdentity(session.id),
    });
    live.transcript = state;
    for (const event of events) this.#publish(session.id, event);
  }

  #userChanged(live: LiveSession, user: { identity: string; name: string } | undefined): void {
    live.userLeftAt = user ? undefined : Date.now();
    live.lastActivity = Date.now();
    if (user) this.#update(live, { identity: user.identity, name: user.name || null });
  }

  #endOverdue(): void {
    const { sessionMaxMs, sessionIdleMs } = this.#options.config;
    const now = Date.now();
    for (const live of this.#live.values()) {
      if (live.session.state !== "active") continue;
      const away = live.userLeftAt !== undefined && now - live.userLeftAt > RETURN_MS;
      if (away) void this.#end(live, "user_left");
      else if (now - live.session.started_at > sessionMaxMs) void this.#end(live, "time_limit");
      else if (now - live.lastActivity > sessionIdleMs) void this.#end(live, "idle");
    }
  }

  /** Ends every session; afterwards none can start. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearInterval(this.#watch);
    await Promise.allSettled([...this.#live.values()].map((live) => this.#end(live, "shutdown")));
  }
}

const WHY_ENDED: Partial<Record<EndReason, string>> = {
  provider_failed:
    "The conversation ended because a provider kept failing. Start a new one once it works again.",
  room_closed: "The conversation ended because its room was closed.",
  livekit_lost: "The conversation ended because the connection to LiveKit was lost.",
  shutdown: "Parley is shutting down.",
};

function whyEnded(reason: EndReason): string {
  return WHY_ENDED[reason] ?? "The agent has left the conversation.";
}

class EndedWhileStarting extends Error {
  readonly reason: EndReason;

  constructor(reason: EndReason) {
    super(`ended while starting: ${reason}`);
    this.reason = reason;
  }
}

function cannotLoad(cause: unknown): never {
  throw new Failure(
    "unavailable",
    "The agent's parts could not be loaded, so no conversation can start. The log says why.",
    { cause },
  );
}

function agentIdentity(sessionId: string): string {
  return `${AGENT_IDENTITY_PREFIX}${sessionId.slice(-12)}`;
}

function unknownSession(): Failure {
  return new Failure("not_found", "There is no such conversation.");
}

/** The engine shares itself out by conversations, and keeps what it has read of each. */
function stageOptions<T extends { isEngine?: boolean }>(
  { isEngine, ...options }: T,
  { id }: Session,
): Omit<T, "isEngine"> & { headers?: Record<string, string> } {
  return isEngine ? { ...options, headers: { "X-Client-Id": id } } : options;
}
