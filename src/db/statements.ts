import { and, asc, desc, eq, gt, inArray, max, ne, sql } from "drizzle-orm";
import type { Database } from "./open.ts";
import { events, interims, segments, sessions } from "./schema.ts";

const parameter = sql.placeholder;
// As in the index, which has only these few rows; SQLite compares the words.
const isLive = sql`${sessions.state} <> 'ended'`;
const ofSession = eq(events.session_id, parameter("id"));

/** The statements that read sessions, prepared once. */
export function prepareSessionReads({ orm }: Database) {
  return {
    find: orm
      .select()
      .from(sessions)
      .where(eq(sessions.id, parameter("id")))
      .prepare(),
    // Not sorted here: SQLite would then read the index of all sessions in order.
    live: orm.select().from(sessions).where(isLive).prepare(),
    page: orm
      .select()
      .from(sessions)
      // A comparison of rows, unlike one with OR, begins in the index where the page begins.
      .where(
        sql`(${sessions.started_at}, ${sessions.id}) < (${parameter("started_at")}, ${parameter("id")})`,
      )
      .orderBy(desc(sessions.started_at), desc(sessions.id))
      .limit(parameter("limit"))
      .prepare(),
  };
}

/** The statements of a session's log that read, prepared once. */
export function prepareReads({ orm }: Database) {
  const interimsOfSession = eq(interims.session_id, parameter("id"));
  const newest = () => orm.select().from(events).orderBy(desc(events.seq)).limit(1);
  return {
    session: orm
      .select({ state: sessions.state, languages: sessions.languages })
      .from(sessions)
      .where(eq(sessions.id, parameter("id")))
      .prepare(),
    unended: orm.select({ id: sessions.id }).from(sessions).where(isLive).prepare(),
    newestSeq: orm
      .select({ seq: max(events.seq) })
      .from(events)
      .where(ofSession)
      .prepare(),
    newestEvent: newest().where(ofSession).prepare(),
    newestState: newest()
      .where(and(ofSession, sql`${events.type} = 'session'`))
      .prepare(),
    newestAgentState: newest()
      .where(and(ofSession, eq(events.type, "agent_state")))
      .prepare(),
    newestSpeech: newest()
      .where(
        and(
          ofSession,
          eq(events.type, "speech"),
          sql`json_extract(${events.data}, '$.role') = ${parameter("role")}`,
        ),
      )
      .prepare(),
    events: orm
      .select()
      .from(events)
      .where(and(ofSession, gt(events.seq, parameter("after"))))
      .orderBy(asc(events.seq))
      .limit(parameter("limit"))
      .prepare(),
    interims: orm.select().from(interims).where(interimsOfSession).prepare(),
    /** The events that a snapshot has all of. */
    lasting: orm
      .select()
      .from(events)
      .where(
        and(ofSession, inArray(events.type, ["transcript", "metrics"]), eq(events.interim, false)),
      )
      .orderBy(asc(events.seq))
      .prepare(),
  };
}

/** The statements that read final segments, prepared once. */
export function prepareSegmentReads({ orm }: Database) {
  return {
    all: orm
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
      .where(eq(segments.session_id, parameter("id")))
      .orderBy(asc(segments.seq))
      .prepare(),
    one: orm
      .select({ language: segments.language })
      .from(segments)
      .where(
        and(
          eq(segments.session_id, parameter("id")),
          eq(segments.segment_id, parameter("segment_id")),
        ),
      )
      .prepare(),
  };
}

/** The statements that change a session's record, prepared once. */
export function prepareSessionWrites({ orm }: Database) {
  const session = () => eq(sessions.id, parameter("id"));
  return {
    state: orm
      .update(sessions)
      .set({ state: sql`${parameter("state")}` })
      .where(session())
      .prepare(),
    end: orm
      .update(sessions)
      .set({
        state: "ended",
        end_reason: sql`${parameter("reason")}`,
        ended_at: sql`${parameter("at")}`,
      })
      .where(and(session(), ne(sessions.state, "ended")))
      .prepare(),
    remove: orm.delete(sessions).where(session()).prepare(),
    countSegment: orm
      .update(sessions)
      .set({ segments: sql`${sessions.segments} + 1` })
      .where(session())
      .prepare(),
    countTurn: orm
      .update(sessions)
      .set({ turns: sql`${sessions.turns} + 1` })
      .where(session())
      .prepare(),
    languages: orm
      .update(sessions)
      .set({ languages: sql`${parameter("languages")}` })
      .where(session())
      .prepare(),
  };
}

/** The statements that store an event and the segment that it completes, prepared once. */
export function prepareEventWrites({ orm }: Database) {
  const entry = {
    session_id: parameter("id"),
    seq: parameter("seq"),
    at: parameter("at"),
    data: parameter("data"),
  };
  return {
    event: orm
      .insert(events)
      .values({ ...entry, type: parameter("type"), interim: false })
      .prepare(),
    interim: orm
      .insert(interims)
      .values({ ...entry, segment_id: parameter("segment_id") })
      .onConflictDoUpdate({
        target: [interims.session_id, interims.segment_id],
        set: { seq: sql`excluded.seq`, at: sql`excluded.at`, data: sql`excluded.data` },
      })
      .prepare(),
    removeInterim: orm
      .delete(interims)
      .where(
        and(
          eq(interims.session_id, parameter("id")),
          eq(interims.segment_id, parameter("segment_id")),
        ),
      )
      .prepare(),
    segment: orm
      .insert(segments)
      .values({
        session_id: parameter("id"),
        seq: parameter("seq"),
        segment_id: parameter("segment_id"),
        role: parameter("role"),
        identity: parameter("identity"),
        text: parameter("text"),
        started_at: parameter("started_at"),
        ended_at: parameter("at"),
        interrupted: parameter("interrupted"),
        language: parameter("language"),
      })
      // A second final of a segment replaces the first, as it does on a client's screen.
      .onConflictDoUpdate({
        target: [segments.session_id, segments.segment_id],
        set: {
          role: sql`excluded.role`,
          identity: sql`excluded.identity`,
          text: sql`excluded.text`,
          ended_at: sql`excluded.ended_at`,
          interrupted: sql`excluded.interrupted`,
          language: sql`excluded.language`,
        },
      })
      .prepare(),
  };
}
