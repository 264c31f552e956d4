import type { Logger } from "pino";
import type { SessionPosition } from "../domain/stores.ts";
import { type Envelope, isSessionEnd } from "../domain/transcript.ts";
import { Failure, messageOf } from "../errors.ts";

const BATCH = { envelopes: 200, characters: 1_000_000 } as const;
/** Sessions that are sent at the same time, so that catching up after an outage needs little memory. */
const MAX_SENDING = 8;

/** A session that this node publishes, and how much of it Redis has. Its events are in the log. */
interface Outgoing {
  sessionId: string;
  /** The `seq` of the first event that was published. */
  first: number;
  /** The newest `seq` of the stream, as far as known. */
  sent: number;
  /** The newest `seq` published. */
  newest: number;
  /** Whether the stream's newest `seq` must be asked for, since the connection failed. */
  needsPosition: boolean;
  /** Whether Redis has answered since the first event. */
  contacted: boolean;
  sending: boolean;
  ended: boolean;
  /** The end of a session that could not start: Redis forgets it. */
  discarded: Envelope | undefined;
  /** Whether a refusal was logged already. */
  refusalLogged: boolean;
}

interface OutboxOptions {
  /** Reads this node's log. */
  read: (sessionId: string, after: number, limit: number) => Envelope[];
  logger: Pick<Logger, "error" | "warn">;
  isConnected: () => boolean;
  /** See `appendToStream`; rejects with a Failure when a later attempt may succeed. */
  append: (sessionId: string, expected: number, envelopes: Envelope[]) => Promise<SessionPosition>;
  /** Removes a session from Redis and announces its end. */
  discard: (sessionId: string, end: Envelope) => Promise<void>;
  /** Ends in Redis a session of which Redis knows more than the log. */
  end: (sessionId: string) => Promise<unknown>;
  /** Other nodes have ended this session, while it goes on here. */
  onEndedElsewhere: (sessionId: string) => void;
}

/**
 * An outbox: brings this node's envelopes to Redis in order. It holds positions only and reads the
 * events from the log, so an outage costs no memory, and a Redis that came back empty is filled
 * again.
 */
export class RedisOutbox {
  readonly #options: OutboxOptions;
  readonly #sessions = new Map<string, Outgoing>();
  /** Sessions that have something to send, in turn. */
  readonly #waiting = new Set<Outgoing>();
  readonly #idleWaiters = new Set<() => void>();
  #sendingCount = 0;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  push(envelope: Envelope): void {
    const session = this.#sessions.get(envelope.session_id) ?? this.#open(envelope);
    session.newest = Math.max(session.newest, envelope.seq);
    session.ended ||= isSessionEnd(envelope);
    this.#enqueue(session);
  }

  /** Takes the end of a session that is in the log no longer, since it could not start. */
  discard(end: Envelope): void {
    const session = this.#sessions.get(end.session_id) ?? this.#open(end);
    session.discarded = end;
    this.#enqueue(session);
  }

  /** To be called when Redis is connected (again) or was emptied: finds where each stream ends. */
  resume(): void {
    for (const session of this.#sessions.values()) {
      session.needsPosition = true;
      this.#enqueue(session);
    }
  }

  /** Resolves when nothing waits to be sent, or Redis is unreachable. */
  async idle(): Promise<void> {
    while (this.#options.isConnected() && (this.#waiting.size > 0 || this.#sendingCount > 0)) {
      await new Promise<void>((resolve) => this.#idleWaiters.add(resolve));
    }
  }

  /** The sessions that are not completely in Redis yet, or have not ended. */
  get sessionCount(): number {
    return this.#sessions.size;
  }

  #open(first: Envelope): Outgoing {
    const session: Outgoing = {
      sessionId: first.session_id,
      first: first.seq,
      sent: first.seq - 1,
      newest: 0,
      needsPosition: false,
      contacted: false,
      sending: false,
      ended: false,
      discarded: undefined,
      refusalLogged: false,
    };
    this.#sessions.set(first.session_id, session);
    return session;
  }

  #enqueue(session: Outgoing): void {
    if (!session.sending) this.#waiting.add(session);
    this.#sendNext();
  }

  #sendNext(): void {
    for (const session of this.#waiting) {
      if (this.#sendingCount >= MAX_SENDING || !this.#options.isConnected()) break;
      this.#waiting.delete(session);
      void this.#send(session);
    }
  }

  async #send(session: Outgoing): Promise<void> {
    session.sending = true;
    this.#sendingCount += 1;
    try {
      if (session.discarded) await this.#discard(session, session.discarded);
      else await this.#sendBatch(session);
    } catch (error) {
      if (error instanceof Failure) session.needsPosition = true;
      else this.#giveUp(session, "Redis refused a transcript; other nodes do not get it", error);
    } finally {
      session.sending = false;
      this.#sendingCount -= 1;
    }
    if (isBehind(session)) this.#waiting.add(session);
    else if (session.ended) this.#forget(session);
    this.#sendNext();
    for (const resolve of this.#idleWaiters) resolve();
    this.#idleWaiters.clear();
  }

  async #sendBatch(session: Outgoing): Promise<void> {
    const batch = this.#nextBatch(session);
    if (batch === undefined) return;
    const upTo = batch.at(-1)?.seq ?? session.sent;
    const { seq, ended } = await this.#options.append(session.sessionId, session.sent, batch);
    session.needsPosition = false;
    if (ended) return this.#endedElsewhere(session);
    if (seq !== upTo && this.#isAhead(session, seq)) return this.#endAhead(session);
    session.contacted = true;
    // An empty batch means that the log has nothing more.
    session.sent = seq === upTo && batch.length === 0 ? session.newest : seq;
  }

  /** @returns undefined when the log cannot be read */
  #nextBatch(session: Outgoing): Envelope[] | undefined {
    if (session.sent >= session.newest) return [];
    try {
      const { sessionId, sent } = session;
      return withinSize(this.#options.read(sessionId, sent, BATCH.envelopes));
    } catch (error) {
      this.#giveUp(session, "a stored event cannot be read; other nodes do not get it", error);
      return undefined;
    }
  }

  /**
   * Whether Redis has events that this log has not: those that it lost in a power cut, or that are
   * newer than the backup it was restored from.
   */
  #isAhead(session: Outgoing, seq: number): boolean {
    return (
      seq > session.newest || (!session.contacted && session.first > 1 && seq >= session.first)
    );
  }

  async #endAhead(session: Outgoing): Promise<void> {
    const { sessionId: session_id, newest: seq } = session;
    this.#options.logger.warn({ session_id, seq }, "Redis knows more of a session than the log");
    // Such a session has been ended by the start of Parley, so that it only remains to tell it.
    await this.#options.end(session_id);
    this.#forget(session);
  }

  #endedElsewhere(session: Outgoing): void {
    this.#forget(session);
    if (!session.ended) this.#options.onEndedElsewhere(session.sessionId);
  }

  async #discard(session: Outgoing, end: Envelope): Promise<void> {
    await this.#options.discard(session.sessionId, end);
    this.#forget(session);
  }

  #forget(session: Outgoing): void {
    session.sent = session.newest;
    session.needsPosition = false;
    session.discarded = undefined;
    if (this.#sessions.get(session.sessionId) === session) this.#sessions.delete(session.sessionId);
  }

  #giveUp(session: Outgoing, message: string, error: unknown): void {
    if (!session.refusalLogged) {
      const context = { session_id: session.sessionId, seq: session.sent, error: messageOf(error) };
      this.#options.logger.error(context, message);
      session.refusalLogged = true;
    }
    session.sent = session.newest;
    session.needsPosition = false;
    if (session.discarded) this.#forget(session);
  }
}

function isBehind(session: Outgoing): boolean {
  const { needsPosition, sent, newest, discarded } = session;
  return needsPosition || sent < newest || discarded !== undefined;
}

function withinSize(envelopes: Envelope[]): Envelope[] {
  let characters = 0;
  let count = 0;
  for (const envelope of envelopes) {
    if (envelope.type === "transcript") characters += envelope.data.text.length;
    if (count > 0 && characters > BATCH.characters) break;
    count += 1;
  }
  return envelopes.slice(0, count);
}
