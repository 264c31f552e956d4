import type { Logger } from "pino";
import type { Agent } from "../agent/agent-stack.ts";
import { type AgentSignal, initialTranscriptState, normalize } from "../agent/normalize-events.ts";
import { AGENT_IDENTITY_PREFIX, type EndReason, type Session } from "../domain/session.ts";
import type { SessionChange } from "../domain/stores.ts";
import type { SessionEvent } from "../domain/transcript.ts";
import { withDeadline } from "../lib/deadline.ts";
import type { StageLease } from "../providers/provider-choice.ts";
import type { LogQueue } from "./log-queue.ts";
import type { ForwardClock } from "./running-time.ts";

/** How long giving back a room may take, in ms. */
const RELEASE_MS = 2000;
/** Signals that show nobody speaking or typing. */
const NO_ACTIVITY = new Set<AgentSignal["kind"]>(["agent_state", "error", "notice"]);

export interface LiveSessionOptions {
  session: Session;
  stages: StageLease;
  log: LogQueue;
  /** The time that events and the end bear. */
  clock: Pick<ForwardClock, "now">;
  /** Ms in which this process ran, for idleness and limits. */
  running: () => number;
  logger: Logger;
}

/** A session that has not ended: its record, its agent, and what it publishes. */
export class LiveSession {
  session: Session;
  readonly stages: StageLease;
  /** Set once the agent is in the room. */
  agent: Agent | undefined;
  /** The right to the room, which is given back once the agent has left. */
  lease: AsyncDisposable | undefined;
  /** Aborted by a stop while the session is still starting. */
  readonly abort = new AbortController();
  /** Settles when the start is over, however it went. */
  started: Promise<void> = Promise.resolve();
  /** The end of the session, once it has begun; it happens once. */
  ending: Promise<void> | undefined;
  /** When the start began, in the time that this process ran, in ms. */
  readonly startedAt: number;
  /** When the person left, in the same time; undefined while they are there. */
  userLeftAt: number | undefined;
  /** When a participant last spoke, typed, joined or left, in the same time. */
  lastActivity: number;
  /** The message about the newest failure. */
  lastFailure: string | undefined;
  readonly #options: LiveSessionOptions;
  /** The notices that were published. */
  readonly #lastingNotices = new Set<string>();
  #transcript = initialTranscriptState;
  /** Whether its record is in the log, and takes events. */
  #isLogged = false;

  constructor(options: LiveSessionOptions) {
    this.#options = options;
    this.session = options.session;
    this.stages = options.stages;
    this.startedAt = options.running();
    this.lastActivity = this.startedAt;
  }

  get id(): string {
    return this.session.id;
  }

  /** The LiveKit identity of the session's agent. */
  get agentIdentity(): string {
    return `${AGENT_IDENTITY_PREFIX}${this.id.slice(-12)}`;
  }

  /**
   * Stores the record.
   * @throws Failure `unavailable` when the disk refuses it
   */
  begin(): void {
    this.#options.log.begin(this.session);
    this.#isLogged = true;
  }

  /** Stores and publishes an event. */
  publish(event: SessionEvent): void {
    if (event.type === "session") this.session = { ...this.session, state: event.data.state };
    if (this.#isLogged) this.#options.log.append(this.id, event, this.#options.clock.now());
  }

  /** Changes the session's record, here and in the log. */
  change(change: SessionChange): void {
    this.session = { ...this.session, ...change };
    if (this.#isLogged) this.#options.log.change(this.id, change);
  }

  /**
   * Stores and publishes the end of the session, which is its last event.
   * @param reason undefined: it could not start, so its record is removed
   * @param stored called once that is done
   */
  end(reason: EndReason | undefined, stored: () => void): void {
    const { log, clock } = this.#options;
    const isLogged = this.#isLogged;
    this.#isLogged = false;
    if (!isLogged) stored();
    else if (reason === undefined) log.discard(this.id, stored);
    else log.end(this.id, reason, clock.now(), stored);
  }

  /** Publishes what the agent reports. */
  receive(signal: AgentSignal): void {
    if (this.#isPublishedAlready(signal)) return;
    if (!NO_ACTIVITY.has(signal.kind)) this.noteActivity();
    if (signal.kind === "error") this.lastFailure = signal.message;
    const { state, events } = normalize(this.#transcript, signal, {
      now: this.#options.clock.now(),
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
    this.noteActivity();
    this.userLeftAt = user ? undefined : this.lastActivity;
    if (user) this.change({ identity: user.identity, name: user.name || null });
  }

  /** Notes that somebody spoke, typed, joined or left. */
  noteActivity(): void {
    this.lastActivity = this.#options.running();
  }

  /** Closes the agent and releases stages and room. What does not close cleanly is logged. */
  async close(): Promise<void> {
    await this.#cleanly(async () => this.agent?.close());
    this.stages[Symbol.dispose]();
    await this.#cleanly(async () => {
      const released = Promise.resolve(this.lease?.[Symbol.asyncDispose]());
      await withDeadline(released, RELEASE_MS, "giving back the room");
    });
  }

  async #cleanly(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const context = { err: error, session_id: this.id };
      this.#options.logger.error(context, "a session did not close cleanly");
    }
  }
}
