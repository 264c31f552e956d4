import { sql } from "drizzle-orm";
import {
  check,
  index,
  integer,
  primaryKey,
  sqliteTable,
  text,
  uniqueIndex,
} from "drizzle-orm/sqlite-core";
import type { EndReason, SessionState } from "../domain/session.ts";
import type { Role, SessionEvent } from "../domain/transcript.ts";

// Times are integer ms since the epoch, UTC. `drizzle-kit generate` creates the migrations in
// `drizzle/` from this file, and `open.ts` applies them.

export const sessions = sqliteTable(
  "sessions",
  {
    id: text().primaryKey(),
    room: text().notNull(),
    identity: text(),
    name: text(),
    system_prompt: text().notNull(),
    greeting: text(),
    voice: text().notNull(),
    language: text(),
    /** JSON. */
    keyterms: text({ mode: "json" }).$type<readonly string[]>().notNull().default([]),
    stt_model: text().notNull(),
    llm_model: text().notNull(),
    tts_model: text().notNull(),
    state: text().$type<SessionState>().notNull(),
    started_at: integer().notNull(),
    ended_at: integer(),
    end_reason: text().$type<EndReason>(),
    /** How many final segments and measured turns it has, so that no list has to count them. */
    segments: integer().notNull().default(0),
    turns: integer().notNull().default(0),
    /** JSON: how many segments were heard in each language, the first that was heard first. */
    languages: text({ mode: "json" }).$type<Record<string, number>>().notNull().default({}),
  },
  (table) => [
    check("sessions_state", sql`${table.state} in ('starting', 'active', 'ending', 'ended')`),
    index("sessions_newest").on(table.started_at, table.id),
    index("sessions_live").on(table.state).where(sql`${table.state} <> 'ended'`),
  ],
);

const sessionReference = () =>
  text()
    .notNull()
    .references(() => sessions.id, { onDelete: "cascade" });

/** Final segments. */
export const segments = sqliteTable(
  "segments",
  {
    session_id: sessionReference(),
    seq: integer().notNull(),
    segment_id: text().notNull(),
    role: text().$type<Role>().notNull(),
    identity: text().notNull(),
    text: text().notNull(),
    started_at: integer().notNull(),
    ended_at: integer().notNull(),
    interrupted: integer({ mode: "boolean" }).notNull(),
    language: text(),
  },
  (table) => [
    primaryKey({ columns: [table.session_id, table.seq] }),
    uniqueIndex("segments_segment").on(table.session_id, table.segment_id),
    check("segments_role", sql`${table.role} in ('user', 'agent')`),
  ],
);

/** The events of a session but for interims; clients replay from here. */
export const events = sqliteTable(
  "events",
  {
    session_id: sessionReference(),
    seq: integer().notNull(),
    at: integer().notNull(),
    type: text().$type<SessionEvent["type"]>().notNull(),
    /** JSON. */
    data: text().notNull(),
    /** Whether it is an interim of an earlier version of Parley, which `Maintenance` removes. */
    interim: integer({ mode: "boolean" }).notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.session_id, table.seq] }),
    index("events_interim").on(table.session_id).where(sql`${table.interim} = 1`),
    index("events_session").on(table.session_id, table.seq).where(sql`${table.type} = 'session'`),
  ],
);

/**
 * The newest interim of each segment that has no final yet. A later one replaces it in place, so
 * that an hour of talk does not leave a hundred times its text. The table is `WITHOUT ROWID`, which
 * Drizzle cannot express: see the migration.
 */
export const interims = sqliteTable(
  "interims",
  {
    session_id: sessionReference(),
    segment_id: text().notNull(),
    seq: integer().notNull(),
    at: integer().notNull(),
    /** JSON. */
    data: text().notNull(),
  },
  (table) => [primaryKey({ columns: [table.session_id, table.segment_id] })],
);
