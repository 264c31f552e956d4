import type { EndReason, Session, SessionCounts } from "./session.ts";
import type { Envelope, Segment, SessionEvent } from "./transcript.ts";

/** One page of the history. */
export interface SessionPage {
  sessions: (Session & SessionCounts)[];
  /** Cursor of the next (older) page, or null at the end. */
  next: string | null;
}

/** Reads sessions. Every method is synchronous, because SQLite answers in microseconds. */
export interface SessionStore {
  find(id: string): (Session & SessionCounts) | undefined;
  /** Sessions that have not ended, newest first. */
  live(): (Session & SessionCounts)[];
  /** All sessions, newest first, `limit` a page; `before` is a cursor from an earlier page. */
  page(options: { limit: number; before?: string }): SessionPage;
}

/** What is learned of a session while it runs. */
export type SessionChange = Partial<
  Pick<Session, "identity" | "name" | "voice" | "stt_model" | "llm_model" | "tts_model">
>;

/**
 * The only writer of sessions and their events. Each method is one transaction, which writes the
 * record and the events together and numbers them; what it has stored is then published. When a
 * method throws, nothing was stored or published: a Failure `unavailable` means that the disk
 * does not take it now, so that it can be tried again.
 */
export interface SessionLog {
  /** Stores a new session with its first event. */
  begin(session: Session): void;
  /**
   * Stores an event with the segment, turn or state that it means.
   * @param at when it happened, ms since the epoch; now if omitted
   * @throws Error also for a session that has ended or is unknown, and for an end: see `end`
   */
  append(id: string, event: SessionEvent, at?: number): Envelope;
  change(id: string, change: SessionChange): void;
  /**
   * Ends a session: its open segments become final, `interrupted`, with what was heard so far, and
   * `session ended` is its last event. Ending it again changes nothing.
   * @param at when it ended, ms since the epoch; now if omitted
   */
  end(id: string, reason: EndReason, at?: number): void;
  /** Removes a session that could not start; only its subscribers learn of it. */
  discard(id: string): void;
  /** The sessions that have not ended: at a start of Parley, those that a crash left open. */
  unended(): string[];
}

/** Stores final segments. */
export interface TranscriptStore {
  segments(sessionId: string): Segment[];
}

/** The stored events of sessions, from which clients replay. */
export interface EventLog {
  /**
   * Envelopes with `seq` greater than `after`, in order; at most `limit` of them. Interims that a
   * newer one of their segment, or its final, has replaced are left out.
   */
  read(sessionId: string, after: number, limit?: number): Envelope[];
  /** The newest `seq`, 0 for an unknown session, and whether `session` `ended` is logged. */
  position(sessionId: string): SessionPosition;
  /**
   * The part of a session's past that a new client needs, in order of `seq`: the newest `session`
   * and, unless the session has ended, the newest `agent_state` and speech that still goes on;
   * every final; the newest interim of each segment without a final; and the metrics. Errors and
   * notices are left out, since they are over.
   */
  snapshot(sessionId: string): Envelope[];
}

/** The end of a session's log. */
export interface SessionPosition {
  seq: number;
  ended: boolean;
}

/** Who may have the agent of a room, where several Parleys share one LiveKit. */
export interface RoomLeases {
  /**
   * Takes a room for a session until the lease is disposed of.
   *
   * @param onLost called once when the lease is lost before that; the session then ends
   * @throws Failure `conflict` when another Parley has the room
   */
  acquire(room: string, sessionId: string, onLost: () => void): Promise<AsyncDisposable>;
}
