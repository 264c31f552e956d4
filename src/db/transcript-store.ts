import { and, asc, eq, gt, lt, max, sql } from "drizzle-orm";
import type { BetterSQLite3Database } from "drizzle-orm/better-sqlite3";
import type { EventLog, SessionPosition, TranscriptStore } from "../domain/stores.ts";
import { type Envelope, envelope, type Segment, type TurnMetrics } from "../domain/transcript.ts";
import type { Database } from "./open.ts";
import { events, segments, sessions, turns } from "./schema.ts";

/** What a database and a transaction have in common. */
type Orm = Pick<BetterSQLite3Database, "insert" | "select">;

/** How long the interims of an ended session are kept, in ms. */
const INTERIMS_KEPT_MS = 3_600_000;

/** Events, final segments and turns in SQLite. */
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

  /**
   * Stores an event with the segment or turn that it completes. An event whose `session_id` and
   * `seq` are stored already is ignored.
   * @throws when the session is unknown or the disk fails; nothing is stored then
   */
  append(entry: Envelope): void {
    this.#database.orm.transaction((transaction) => appendEnvelope(transaction, entry), {
      behavior: "immediate",
    });
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

/** Does the work of `SqliteTranscriptStore.append` within a transaction of the caller. */
export function appendEnvelope(orm: Orm, entry: Envelope): void {
  const at = Date.parse(entry.at);
  const stored = orm
    .insert(events)
    .values({
      session_id: entry.session_id,
      seq: entry.seq,
      at,
      type: entry.type,
      data: JSON.stringify(entry.data),
      interim: entry.type === "transcript" && !entry.data.final,
    })
    .onConflictDoNothing()
    .run();
  if (stored.changes === 0) return;
  if (entry.type === "transcript" && entry.data.final) addSegment(orm, entry, at);
  if (entry.type === "metrics") addTurn(orm, entry, at);
}

function addSegment(orm: Orm, entry: Envelope & { type: "transcript" }, at: number): void {
  const { segment_id, role, identity, text, started_at } = entry.data;
  const { interrupted = false, language = null } = entry.data;
  const final = { role, identity, text, ended_at: at, interrupted, language };
  orm
    .insert(segments)
    .values({
      session_id: entry.session_id,
      seq: entry.seq,
      segment_id,
      started_at: Math.round(started_at),
      ...final,
    })
    // A second final of a segment replaces the first, as it does on a client's screen.
    .onConflictDoUpdate({ target: [segments.session_id, segments.segment_id], set: final })
    .run();
}

function addTurn(orm: Orm, entry: Envelope & { type: "metrics" }, at: number): void {
  const { turn_id, ...measured } = entry.data;
  const parts = rounded(measured);
  orm
    .insert(turns)
    .values({ session_id: entry.session_id, seq: entry.seq, turn_id, at, ...parts })
    .onConflictDoUpdate({ target: [turns.session_id, turns.turn_id], set: parts })
    .run();
}

/** The columns of a turn, in whole ms and tokens. */
function rounded(parts: Omit<TurnMetrics, "turn_id">): Omit<TurnMetrics, "turn_id"> {
  const integer = (value: number | null) => (value === null ? null : Math.round(value));
  return {
    endpointing_ms: integer(parts.endpointing_ms),
    stt_ms: integer(parts.stt_ms),
    llm_ttft_ms: integer(parts.llm_ttft_ms),
    tts_ttfb_ms: integer(parts.tts_ttfb_ms),
    voice_to_voice_ms: integer(parts.voice_to_voice_ms),
    prompt_tokens: integer(parts.prompt_tokens),
    completion_tokens: integer(parts.completion_tokens),
  };
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
