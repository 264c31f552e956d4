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
    node: text().notNull(),
  },
  (table) => [
    check("sessions_state", sql`${table.state} in ('starting', 'active', 'ending', 'ended')`),
    index("sessions_newest").on(table.started_at, table.id),
    index("sessions_ended").on(table.ended_at),
    // Two agents in one room would talk to each other.
    uniqueIndex("sessions_live_room").on(table.room).where(sql`${table.state} <> 'ended'`),
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

/** Latency parts (ms) and token counts of each turn; null where a part was not measured. */
export const turns = sqliteTable(
  "turns",
  {
    session_id: sessionReference(),
    seq: integer().notNull(),
    turn_id: text().notNull(),
    at: integer().notNull(),
    endpointing_ms: integer(),
    stt_ms: integer(),
    llm_ttft_ms: integer(),
    tts_ttfb_ms: integer(),
    voice_to_voice_ms: integer(),
    prompt_tokens: integer(),
    completion_tokens: integer(),
  },
  (table) => [
    primaryKey({ columns: [table.session_id, table.seq] }),
    uniqueIndex("turns_turn").on(table.session_id, table.turn_id),
  ],
);

/** Every event of a session; clients replay from here. */
export const events = sqliteTable(
  "events",
  {
    session_id: sessionReference(),
    seq: integer().notNull(),
    at: integer().notNull(),
    type: text().$type<SessionEvent["type"]>().notNull(),
    /** JSON. */
    data: text().notNull(),
    /** Whether it is an interim transcript; `compact` removes these after the session. */
    interim: integer({ mode: "boolean" }).notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.session_id, table.seq] }),
    index("events_interim").on(table.session_id).where(sql`${table.interim} = 1`),
    index("events_session").on(table.session_id, table.seq).where(sql`${table.type} = 'session'`),
  ],
);
