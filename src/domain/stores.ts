import type { Session, SessionCounts } from "./session.ts";
import type { Envelope, Segment } from "./transcript.ts";

/** One page of the history. */
export interface SessionPage {
  sessions: (Session & SessionCounts)[];
  /** Cursor of the next (older) page, or null at the end. */
  next: string | null;
}

/** Stores sessions. Every method is synchronous, because SQLite answers in microseconds. */
export interface SessionStore {
  insert(session: Session): void;
  update(id: string, change: Partial<Omit<Session, "id">>): void;
  delete(id: string): void;
  find(id: string): (Session & SessionCounts) | undefined;
  /** Sessions that have not ended, newest first. */
  live(): (Session & SessionCounts)[];
  /** All sessions, newest first, `limit` a page; `before` is a cursor from an earlier page. */
  page(options: { limit: number; before?: string }): SessionPage;
  /**
   * Ends the sessions that a crash left open, with reason `crashed`, and logs a `session` `ended`
   * event for each. Returns these events, for clients that are connected to other nodes. One
   * process uses a database, so at its start every open session belongs to a process that is gone.
   */
  endCrashed(at: number): Envelope[];
}

/** Stores final segments. */
export interface TranscriptStore {
  segments(sessionId: string): Segment[];
}

/** The durable log of a session's events, from which clients replay. */
export interface EventLog {
  /** Stores the envelope (and the segment or turn it completes) in one transaction. */
  append(envelope: Envelope): void;
  /** Envelopes with `seq` greater than `after`, in order; at most `limit` of them. */
  read(sessionId: string, after: number, limit?: number): Envelope[];
  /** The newest `seq`, 0 for an unknown session, and whether `session` `ended` is logged. */
  position(sessionId: string): SessionPosition;
}

/** The end of a session's log. */
export interface SessionPosition {
  seq: number;
  ended: boolean;
}
