import { and, asc, eq, gt, lt, max, sql } from "drizzle-orm";
import type { BetterSQLite3Database } from "drizzle-orm/better-sqlite3";
import type { EventLog, SessionPosition, TranscriptStore } from "../domain/stores.ts";
import {
  type Envelope,
  envelope,
  type Role,
  type Segment,
  type SessionEvent,
  type TranscriptData,
} from "../domain/transcript.ts";
import type { Database } from "./open.ts";
import { events, segments, sessions } from "./schema.ts";

/** What a database and a transaction have in common. */
type Orm = Pick<BetterSQLite3Database, "select">;

/** How long the interims of an ended session are kept, in ms. */
const INTERIMS_KEPT_MS = 3_600_000;

/** Reads the events and final segments in SQLite. */
export class SqliteTranscriptStore implements TranscriptStore, EventLog {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Final segments in order of `seq`. */
  segments(sessionId: string): Segment[] {
    return this.#database.orm
      .select({
        seq: segments.seq,
        segment_id: segments.segment_id,
        role: segments.role,
        identity: segments.identity,
        text: segments.text,
        started_at: segments.started_at,
        ended_at: segments.ended_at,
        interrupted: segments.interrupted,
        language: segments.language,
      })
      .from(segments)
      .where(eq(segments.session_id, sessionId))
      .orderBy(asc(segments.seq))
      .all();
  }

  /** @throws Error when a row is not an envelope that this version can read */
  read(sessionId: string, after: number, limit = -1): Envelope[] {
    // SQLite reads a negative limit as none.
    return this.#database.orm
      .select()
      .from(events)
      .where(and(eq(events.session_id, sessionId), gt(events.seq, after)))
      .orderBy(asc(events.seq))
      .limit(limit)
      .all()
      .map(toEnvelope);
  }

  position(sessionId: string): SessionPosition {
    return position(this.#database.orm, sessionId);
  }

  /**
   * Removes the interims of sessions that ended over an hour ago; their finals stay.
   * @param now ms since the epoch
   * @returns how many events were removed
   */
  compact(now: number): number {
    const longEnded = this.#database.orm
      .select({ id: sessions.id })
      .from(sessions)
      .where(lt(sessions.ended_at, now - INTERIMS_KEPT_MS));
    return this.#database.orm
      .delete(events)
      .where(and(eq(events.interim, true), sql`${events.session_id} in ${longEnded}`))
      .run().changes;
  }
}

/** The newest `seq` of a session, 0 when there is none, and whether `session ended` is logged. */
export function position(orm: Orm, sessionId: string): SessionPosition {
  const newest = orm
    .select({ seq: max(events.seq) })
    .from(events)
    .where(eq(events.session_id, sessionId))
    .get();
  const ended = orm
    .select({ seq: events.seq })
    .from(events)
    .where(
      and(
        eq(events.session_id, sessionId),
        sql`${events.type} = 'session' and json_extract(${events.data}, '$.state') = 'ended'`,
      ),
    )
    .limit(1)
    .get();
  return { seq: newest?.seq ?? 0, ended: ended !== undefined };
}

/** The newest interim of each segment that has no final, oldest segment first. */
export function openSegments(orm: Orm, sessionId: string): TranscriptData[] {
  const open = new Map<string, TranscriptData>();
  for (const { type, data } of eventsOf(orm, sessionId, "transcript")) {
    if (type !== "transcript") continue;
    if (data.final) open.delete(data.segment_id);
    else open.set(data.segment_id, data);
  }
  return [...open.values()];
}

/** Who was still speaking at the end of the log. */
export function openSpeech(orm: Orm, sessionId: string): { role: Role; identity: string }[] {
  const speaking = new Map<Role, string>();
  for (const { type, data } of eventsOf(orm, sessionId, "speech")) {
    if (type !== "speech") continue;
    if (data.state === "started") speaking.set(data.role, data.identity);
    else speaking.delete(data.role);
  }
  return [...speaking].map(([role, identity]) => ({ role, identity }));
}

function eventsOf(orm: Orm, sessionId: string, type: SessionEvent["type"]): Envelope[] {
  return orm
    .select()
    .from(events)
    .where(and(eq(events.session_id, sessionId), eq(events.type, type)))
    .orderBy(asc(events.seq))
    .all()
    .map(toEnvelope);
}

function toEnvelope(row: typeof events.$inferSelect): Envelope {
  const parsed = envelope.safeParse({
    type: row.type,
    seq: row.seq,
    session_id: row.session_id,
    at: new Date(row.at).toISOString(),
    data: JSON.parse(row.data),
  });
  if (parsed.success) return parsed.data;
  throw new Error(
    `Event ${row.seq} of session ${row.session_id} is unreadable: ${parsed.error.message}`,
  );
}
