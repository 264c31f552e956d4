import type { Logger } from "pino";
import { type Envelope, type EventLog, isSessionEnd } from "../domain/transcript.ts";
import { messageOf } from "../errors.ts";

/** Adds entries after `expected`; answers the newest `seq` of the other side afterwards. */
type Send = (sessionId: string, expected: number, entries: Envelope[]) => Promise<number>;

const BATCH = { envelopes: 200, characters: 1_000_000 } as const;
/** Envelopes of one session held in memory; what is beyond is read from the log again. */
const MAX_HELD = 1000;

interface Outgoing {
  sessionId: string;
  /** The `seq` up to which the other side has everything, as far as known. */
  sent: number;
  newest: number;
  /** The log's continuation after `sent`, up to `heldTo`. */
  held: Envelope[];
  heldTo: number;
  /** Whether `sent` may be wrong because the link was away. */
  doubtful: boolean;
  sending: boolean;
  ended: boolean;
  /** Whether a refusal was logged already. */
  refused: boolean;
}

interface OutboxOptions {
  log: Pick<EventLog, "read">;
  logger: Pick<Logger, "error">;
  /** Whether there is a link at all. */
  isUp: () => boolean;
  send: Send;
  /** Called when sending failed; answers whether the session can be sent later. */
  onError: (error: unknown) => boolean;
}

/**
 * Brings this node's envelopes to Redis in order. What waits while the link is away waits in the
 * event log on disk, which has every envelope, so an outage of any length costs no memory; and a
 * Redis that came back empty is filled again from there.
 */
export class RedisOutbox {
  readonly #options: OutboxOptions;
  readonly #sessions = new Map<string, Outgoing>();
  readonly #idle = new Set<() => void>();

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  push(envelope: Envelope): void {
    const session = this.#sessions.get(envelope.session_id) ?? this.#open(envelope);
    session.newest = Math.max(session.newest, envelope.seq);
    session.ended ||= isSessionEnd(envelope);
    if (session.heldTo === envelope.seq - 1) {
      session.held.push(envelope);
      session.heldTo = envelope.seq;
      if (session.held.length > MAX_HELD) forget(session);
    }
    void this.#send(session);
  }

  /** To be called when the link is there (again): asks where each stream ends and goes on. */
  resume(): void {
    for (const session of this.#sessions.values()) {
      session.doubtful = true;
      void this.#send(session);
    }
  }

  /** Resolves when nothing waits to be sent, or the link is away. */
  async idle(): Promise<void> {
    while (this.#options.isUp() && [...this.#sessions.values()].some(isBehind)) {
      await new Promise<void>((resolve) => this.#idle.add(resolve));
    }
  }

  /** Sessions it looks after: those that this node publishes and that have not ended. */
  get sessionCount(): number {
    return this.#sessions.size;
  }

  #open(first: Envelope): Outgoing {
    const session: Outgoing = {
      sessionId: first.session_id,
      sent: first.seq - 1,
      newest: 0,
      held: [],
      heldTo: first.seq - 1,
      doubtful: false,
      sending: false,
      ended: false,
      refused: false,
    };
    this.#sessions.set(first.session_id, session);
    return session;
  }

  async #send(session: Outgoing): Promise<void> {
    if (session.sending) return;
    session.sending = true;
    try {
      while (this.#options.isUp() && isBehind(session)) await this.#sendBatch(session);
      if (session.ended && !isBehind(session)) this.#sessions.delete(session.sessionId);
    } catch (error) {
      session.doubtful = true;
      if (!this.#options.onError(error)) this.#giveUp(session, error);
    } finally {
      session.sending = false;
      for (const resolve of this.#idle) resolve();
      this.#idle.clear();
    }
  }

  async #sendBatch(session: Outgoing): Promise<void> {
    if (session.held.length === 0 && session.sent < session.newest) {
      session.held = this.#options.log.read(session.sessionId, session.sent, MAX_HELD);
      session.heldTo = session.held.at(-1)?.seq ?? session.newest;
    }
    const batch = firstOf(session.held);
    const upTo = batch.at(-1)?.seq ?? session.sent;
    const newest = await this.#options.send(session.sessionId, session.sent, batch);
    session.doubtful = false;
    if (newest === upTo) {
      session.held.splice(0, batch.length);
      // An empty batch: the log has nothing more, as when the session was deleted.
      const isAll = batch.length === 0 && session.held.length === 0;
      session.sent = isAll ? Math.max(upTo, session.heldTo) : upTo;
    } else {
      session.sent = newest;
      forget(session);
    }
  }

  #giveUp(session: Outgoing, error: unknown): void {
    if (!session.refused) {
      const context = { session_id: session.sessionId, seq: session.sent, error: messageOf(error) };
      this.#options.logger.error(context, "Redis refused a transcript: other nodes do not get it");
      session.refused = true;
    }
    session.sent = session.newest;
    session.doubtful = false;
    forget(session);
    if (session.ended) this.#sessions.delete(session.sessionId);
  }
}

function isBehind(session: Outgoing): boolean {
  return session.doubtful || session.sent < session.newest;
}

function forget(session: Outgoing): void {
  session.held = [];
  session.heldTo = session.sent;
}

function firstOf(held: Envelope[]): Envelope[] {
  let characters = 0;
  let count = 0;
  for (const envelope of held) {
    if (envelope.type === "transcript") characters += envelope.data.text.length;
    if (count > 0 && characters > BATCH.characters) break;
    if (++count === BATCH.envelopes) break;
  }
  return held.slice(0, count);
}
