import type { Logger } from "pino";
import type { EventLog } from "../domain/stores.ts";
import { type Envelope, isSessionEnd } from "../domain/transcript.ts";
import { messageOf } from "../errors.ts";

/**
 * Appends envelopes to the session's stream if its newest `seq` is `expected`; resolves with the
 * stream's newest `seq` afterwards.
 */
type Append = (sessionId: string, expected: number, envelopes: Envelope[]) => Promise<number>;

const BATCH = { envelopes: 200, characters: 1_000_000 } as const;
/** Envelopes of one session queued in memory. Beyond that, they are read from the log again. */
const MAX_QUEUED = 1000;

/** A session that this node publishes, and how much of it Redis has. */
interface Outgoing {
  sessionId: string;
  /** The newest `seq` of the stream, as far as known. */
  sent: number;
  /** The newest `seq` published. */
  newest: number;
  /** The envelopes after `sent`, up to `queuedUpTo`. */
  queue: Envelope[];
  queuedUpTo: number;
  /** Whether the stream's newest `seq` must be asked for, since the connection failed. */
  needsPosition: boolean;
  sending: boolean;
  ended: boolean;
  /** Whether a refusal was logged already. */
  refusalLogged: boolean;
}

interface OutboxOptions {
  log: Pick<EventLog, "read">;
  logger: Pick<Logger, "error">;
  isConnected: () => boolean;
  append: Append;
  /** Called when appending failed; returns whether a later attempt may succeed. */
  onError: (error: unknown) => boolean;
}

/**
 * An outbox: brings this node's envelopes to Redis in order. During an outage, envelopes beyond
 * the queue wait in the event log on disk. A Redis that came back empty is filled again from there.
 */
export class RedisOutbox {
  readonly #options: OutboxOptions;
  readonly #sessions = new Map<string, Outgoing>();
  readonly #idleWaiters = new Set<() => void>();

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  push(envelope: Envelope): void {
    const session = this.#sessions.get(envelope.session_id) ?? this.#open(envelope);
    session.newest = Math.max(session.newest, envelope.seq);
    session.ended ||= isSessionEnd(envelope);
    if (session.queuedUpTo === envelope.seq - 1) {
      session.queue.push(envelope);
      session.queuedUpTo = envelope.seq;
      if (session.queue.length > MAX_QUEUED) clearQueue(session);
    }
    void this.#send(session);
  }

  /** To be called when Redis is connected (again): asks where each stream ends and continues. */
  resume(): void {
    for (const session of this.#sessions.values()) {
      session.needsPosition = true;
      void this.#send(session);
    }
  }

  /** Resolves when nothing waits to be sent, or Redis is unreachable. */
  async idle(): Promise<void> {
    while (this.#options.isConnected() && [...this.#sessions.values()].some(isBehind)) {
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
      sent: first.seq - 1,
      newest: 0,
      queue: [],
      queuedUpTo: first.seq - 1,
      needsPosition: false,
      sending: false,
      ended: false,
      refusalLogged: false,
    };
    this.#sessions.set(first.session_id, session);
    return session;
  }

  async #send(session: Outgoing): Promise<void> {
    if (session.sending) return;
    session.sending = true;
    try {
      while (this.#options.isConnected() && isBehind(session)) await this.#sendBatch(session);
      if (session.ended && !isBehind(session)) this.#sessions.delete(session.sessionId);
    } catch (error) {
      session.needsPosition = true;
      if (!this.#options.onError(error)) this.#giveUp(session, error);
    } finally {
      session.sending = false;
      for (const resolve of this.#idleWaiters) resolve();
      this.#idleWaiters.clear();
    }
  }

  async #sendBatch(session: Outgoing): Promise<void> {
    if (session.queue.length === 0 && session.sent < session.newest) {
      session.queue = this.#options.log.read(session.sessionId, session.sent, MAX_QUEUED);
      session.queuedUpTo = session.queue.at(-1)?.seq ?? session.newest;
    }
    const batch = nextBatch(session.queue);
    const upTo = batch.at(-1)?.seq ?? session.sent;
    const newest = await this.#options.append(session.sessionId, session.sent, batch);
    session.needsPosition = false;
    if (newest === upTo) {
      session.queue.splice(0, batch.length);
      // An empty batch means that the log has nothing more, as when the session was deleted.
      const isLogEmpty = batch.length === 0 && session.queue.length === 0;
      session.sent = isLogEmpty ? Math.max(upTo, session.queuedUpTo) : upTo;
    } else {
      session.sent = newest;
      clearQueue(session);
    }
  }

  #giveUp(session: Outgoing, error: unknown): void {
    if (!session.refusalLogged) {
      const context = { session_id: session.sessionId, seq: session.sent, error: messageOf(error) };
      this.#options.logger.error(context, "Redis refused a transcript; other nodes do not get it");
      session.refusalLogged = true;
    }
    session.sent = session.newest;
    session.needsPosition = false;
    clearQueue(session);
    if (session.ended) this.#sessions.delete(session.sessionId);
  }
}

function isBehind(session: Outgoing): boolean {
  return session.needsPosition || session.sent < session.newest;
}

function clearQueue(session: Outgoing): void {
  session.queue = [];
  session.queuedUpTo = session.sent;
}

function nextBatch(queue: Envelope[]): Envelope[] {
  let characters = 0;
  let count = 0;
  for (const envelope of queue) {
    if (envelope.type === "transcript") characters += envelope.data.text.length;
    if (count > 0 && characters > BATCH.characters) break;
    if (++count === BATCH.envelopes) break;
  }
  return queue.slice(0, count);
}
