import type { Logger } from "pino";
import type { Agent } from "../agent/agent-stack.ts";
import { type AgentSignal, initialTranscriptState, normalize } from "../agent/normalize-events.ts";
import { AGENT_IDENTITY_PREFIX, type EndReason, type Session } from "../domain/session.ts";
import type { SessionChange, SessionLog } from "../domain/stores.ts";
import type { SessionEvent } from "../domain/transcript.ts";
import type { StageLease } from "../providers/provider-choice.ts";

/** Signals that show nobody speaking or typing. */
const NO_ACTIVITY = new Set<AgentSignal["kind"]>(["agent_state", "error", "notice"]);

export interface LiveSessionOptions {
  session: Session;
  stages: StageLease;
  log: SessionLog;
  logger: Logger;
}

/** A session that has not ended: its record, its agent, and what it publishes. */
export class LiveSession {
  session: Session;
  readonly stages: StageLease;
  /** Set once the agent is in the room. */
  agent: Agent | undefined;
  /** Aborted by a stop while the session is still starting. */
  readonly abort = new AbortController();
  /** Settles when the start is over, however it went. */
  started: Promise<void> = Promise.resolve();
  /** The end of the session, once it has begun; it happens once. */
  ending: Promise<void> | undefined;
  /** When the person left, ms since the epoch; undefined while they are there. */
  userLeftAt: number | undefined;
  /** When a participant last spoke, typed, joined or left, ms since the epoch. */
  lastActivity = Date.now();
  /** The message about the newest failure. */
  lastFailure: string | undefined;
  readonly #options: LiveSessionOptions;
  /** The notices that were published. */
  readonly #lastingNotices = new Set<string>();
  #transcript = initialTranscriptState;

  constructor(options: LiveSessionOptions) {
    this.#options = options;
    this.session = options.session;
    this.stages = options.stages;
  }

  get id(): string {
    return this.session.id;
  }

  /** The LiveKit identity of the session's agent. */
  get agentIdentity(): string {
    return `${AGENT_IDENTITY_PREFIX}${this.id.slice(-12)}`;
  }

  /** Stores and publishes an event. A session continues, and can end, while the disk refuses. */
  publish(event: SessionEvent): void {
    if (event.type === "session") this.session = { ...this.session, state: event.data.state };
    this.#store(event.type, (log) => log.append(this.id, event));
  }

  /** Changes the session's record, here and in the store. */
  change(change: SessionChange): void {
    this.session = { ...this.session, ...change };
    this.#store("change", (log) => log.change(this.id, change));
  }

  /** Stores and publishes the end of the session. */
  end(reason: EndReason): void {
    this.session = { ...this.session, state: "ended", end_reason: reason, ended_at: Date.now() };
    this.#store("end", (log) => log.end(this.id, reason));
  }

  #store(what: string, write: (log: SessionLog) => void): void {
    const { log, logger } = this.#options;
    try {
      write(log);
    } catch (error) {
      const context = { err: error, session_id: this.id, what };
      logger.error(context, "an event of a session was lost");
    }
  }

  /** Publishes what the agent reports. */
  receive(signal: AgentSignal): void {
    if (this.session.state === "ended" || this.#isPublishedAlready(signal)) return;
    if (!NO_ACTIVITY.has(signal.kind)) this.lastActivity = Date.now();
    if (signal.kind === "error") this.lastFailure = signal.message;
    const { state, events } = normalize(this.#transcript, signal, {
      now: Date.now(),
      newId: Bun.randomUUIDv7(),
      userIdentity: this.session.identity ?? "",
      agentIdentity: this.agentIdentity,
    });
    this.#transcript = state;
    for (const event of events) this.publish(event);
  }

  /** A notice that stays on the page is published once; the requests behind it may repeat. */
  #isPublishedAlready(signal: AgentSignal): boolean {
    if (signal.kind !== "notice" || signal.transient) return false;
    const what = `${signal.code} ${signal.stage}`;
    if (this.#lastingNotices.has(what)) return true;
    this.#lastingNotices.add(what);
    return false;
  }

  /** Notes that the person joined or, with undefined, left. */
  userChanged(user: { identity: string; name: string } | undefined): void {
    this.userLeftAt = user ? undefined : Date.now();
    this.lastActivity = Date.now();
    if (user) this.change({ identity: user.identity, name: user.name || null });
  }

  /** Closes the agent and releases the stages. An agent that does not close cleanly is logged. */
  async closeAgent(): Promise<void> {
    using _stages = this.stages;
    try {
      await this.agent?.close();
    } catch (error) {
      const context = { err: error, session_id: this.id };
      this.#options.logger.error(context, "a session did not close cleanly");
    }
  }
}
