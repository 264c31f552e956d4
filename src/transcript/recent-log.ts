import type { EventLog, SessionPosition } from "../domain/stores.ts";
import { type Envelope, isSessionEnd } from "../domain/transcript.ts";

/** What is kept of one running session. The size is an estimate, in characters. */
const KEPT = { events: 1000, characters: 1_000_000 } as const;
/** What is kept of all sessions that have ended: other nodes and clients may still be behind. */
const KEPT_ENDED_CHARACTERS = 300_000;
/** What an envelope takes beside its text, in characters. */
const ENVELOPE_CHARACTERS = 200;

/** A snapshot of a session, and the position up to which it tells everything. */
export interface SessionSnapshot extends SessionPosition {
  events: Envelope[];
}

/**
 * The event log of this node, with the newest events of its running sessions, and of those that have
 * just ended, in memory. A client
 * that comes back soon reads from there and misses nothing, whereas the log on disk forgets an
 * interim once a later transcript replaces it.
 */
export class RecentLog {
  readonly #log: EventLog;
  readonly #bySession = new Map<string, RecentEvents>();
  /** Sessions that have ended, the oldest end first, and what their events take. */
  readonly #ended = new Map<string, number>();
  #endedCharacters = 0;

  constructor(log: EventLog) {
    this.#log = log;
  }

  /** Notes an event that the log has stored. */
  add(envelope: Envelope): void {
    const { session_id } = envelope;
    const recent = this.#bySession.get(session_id) ?? new RecentEvents();
    this.#bySession.set(session_id, recent);
    recent.add(envelope);
    if (isSessionEnd(envelope)) this.#addEnded(session_id, recent.characters);
  }

  #addEnded(sessionId: string, characters: number): void {
    this.#ended.set(sessionId, characters);
    this.#endedCharacters += characters;
    // One that could not start is in the log no longer.
    if (this.#log.position(sessionId).seq === 0) this.#forget(sessionId, characters);
    for (const [oldest, size] of this.#ended) {
      if (this.#endedCharacters <= KEPT_ENDED_CHARACTERS) return;
      this.#forget(oldest, size);
    }
  }

  #forget(sessionId: string, characters: number): void {
    this.#ended.delete(sessionId);
    this.#endedCharacters -= characters;
    this.#bySession.delete(sessionId);
  }

  /** Envelopes with `seq` greater than `after`, in order; fewer than `limit` when there are no more. */
  read(sessionId: string, after: number, limit = Infinity): Envelope[] {
    const recent = this.#bySession.get(sessionId);
    const oldest = recent?.oldest ?? Infinity;
    const older = after + 1 < oldest ? this.#readDisk(sessionId, after, limit, oldest) : [];
    return [...older, ...(recent?.read(after, limit - older.length) ?? [])];
  }

  position(sessionId: string): SessionPosition {
    return this.#log.position(sessionId);
  }

  snapshot(sessionId: string): SessionSnapshot {
    return { ...this.position(sessionId), events: this.#log.snapshot(sessionId) };
  }

  #readDisk(sessionId: string, after: number, limit: number, before: number): Envelope[] {
    const found = this.#log.read(sessionId, after, limit === Infinity ? undefined : limit);
    return found.filter(({ seq }) => seq < before);
  }

  /** Sessions of which events are kept. */
  get size(): number {
    return this.#bySession.size;
  }
}

/** The newest events of one session, without a gap. */
class RecentEvents {
  readonly #events: Envelope[] = [];
  #characters = 0;

  add(envelope: Envelope): void {
    this.#events.push(envelope);
    this.#characters += charactersOf(envelope);
    while (this.#events.length > KEPT.events || this.#characters > KEPT.characters) {
      const oldest = this.#events.shift();
      if (oldest === undefined) return;
      this.#characters -= charactersOf(oldest);
    }
  }

  get characters(): number {
    return this.#characters;
  }

  get oldest(): number | undefined {
    return this.#events[0]?.seq;
  }

  read(after: number, limit: number): Envelope[] {
    const from = Math.max(0, after + 1 - (this.oldest ?? 0));
    return this.#events.slice(from, from + limit);
  }
}

function charactersOf(envelope: Envelope): number {
  switch (envelope.type) {
    case "transcript":
      return ENVELOPE_CHARACTERS + envelope.data.text.length;
    case "notice":
    case "error":
      return ENVELOPE_CHARACTERS + envelope.data.message.length;
    default:
      return ENVELOPE_CHARACTERS;
  }
}
