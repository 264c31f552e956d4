import { and, asc, eq, ne } from "drizzle-orm";
import type { BetterSQLite3Database } from "drizzle-orm/better-sqlite3";
import type { EndReason, Session } from "../domain/session.ts";
import type { SessionChange, SessionLog } from "../domain/stores.ts";
import type { Envelope, SessionEvent, TurnMetrics } from "../domain/transcript.ts";
import { diskFailure } from "./disk-failure.ts";
import type { Database } from "./open.ts";
import { events, segments, sessions, turns } from "./schema.ts";
import { openSegments, openSpeech, position } from "./transcript-store.ts";

type Orm = Pick<BetterSQLite3Database, "insert" | "select" | "update" | "delete">;

interface SqliteSessionLogOptions {
  database: Database;
  /** Receives what a transaction has stored, in order, once it is stored. */
  publish(envelope: Envelope): void;
  /** Ms since the epoch. */
  now?: () => number;
}

/** The life of sessions in SQLite: see `SessionLog`. */
export class SqliteSessionLog implements SessionLog {
  readonly #database: Database;
  readonly #publish: (envelope: Envelope) => void;
  readonly #now: () => number;

  constructor({ database, publish, now = Date.now }: SqliteSessionLogOptions) {
    this.#database = database;
    this.#publish = publish;
    this.#now = now;
  }

  begin(session: Session): void {
    this.#write((orm) => {
      orm.insert(sessions).values(session).run();
      return [this.#append(orm, session.id, stateEvent(session.state))];
    });
  }

  append(id: string, event: SessionEvent, at = this.#now()): Envelope {
    const [stored] = this.#write((orm) => {
      if (event.type === "session") setState(orm, id, { state: event.data.state });
      return [this.#append(orm, id, event, at)];
    });
    if (stored === undefined) throw new Error("nothing was stored");
    return stored;
  }

  change(id: string, change: SessionChange): void {
    if (Object.values(change).every((value) => value === undefined)) return;
    this.#transact((orm) => orm.update(sessions).set(change).where(eq(sessions.id, id)).run());
  }

  end(id: string, reason: EndReason, ended_at = this.#now()): void {
    this.#write((orm) => {
      if (!setState(orm, id, { state: "ended", end_reason: reason, ended_at })) return [];
      const closing: SessionEvent[] = [
        ...openSegments(orm, id).map(
          (data): SessionEvent => ({
            type: "transcript",
            data: { ...data, final: true, interrupted: true },
          }),
        ),
        ...openSpeech(orm, id).map(
          (data): SessionEvent => ({ type: "speech", data: { ...data, state: "stopped" } }),
        ),
        stateEvent("ended", reason),
      ];
      return closing.map((event) => this.#append(orm, id, event, ended_at));
    });
  }

  discard(id: string): void {
    const ended = this.#transact((orm) => {
      const { seq } = position(orm, id);
      orm.delete(sessions).where(eq(sessions.id, id)).run();
      return this.#envelope(id, seq + 1, stateEvent("ended", "agent_failed"), this.#now());
    });
    this.#publish(ended);
  }

  unended(): string[] {
    return this.#database.orm
      .select({ id: sessions.id })
      .from(sessions)
      .where(ne(sessions.state, "ended"))
      .orderBy(asc(sessions.room))
      .all()
      .map(({ id }) => id);
  }

  #write(work: (orm: Orm) => Envelope[]): Envelope[] {
    const stored = this.#transact(work);
    for (const envelope of stored) this.#publish(envelope);
    return stored;
  }

  #transact<T>(work: (orm: Orm) => T): T {
    const { orm, handle } = this.#database;
    try {
      return orm.transaction(work, { behavior: "immediate" });
    } catch (error) {
      throw diskFailure(error, handle.name) ?? error;
    }
  }

  #append(orm: Orm, id: string, event: SessionEvent, at = this.#now()): Envelope {
    const envelope = this.#envelope(id, position(orm, id).seq + 1, event, at);
    insertEvent(orm, envelope);
    return envelope;
  }

  #envelope(session_id: string, seq: number, event: SessionEvent, at: number): Envelope {
    return { ...event, seq, session_id, at: new Date(at).toISOString() };
  }
}

function stateEvent(state: Session["state"], reason?: EndReason): SessionEvent {
  return { type: "session", data: { state, ...(reason && { reason }) } };
}

/** @returns false when the session has ended, which is final, or is unknown */
function setState(
  orm: Orm,
  id: string,
  change: Partial<Pick<Session, "state" | "end_reason" | "ended_at">>,
): boolean {
  const open = and(eq(sessions.id, id), ne(sessions.state, "ended"));
  return orm.update(sessions).set(change).where(open).run().changes > 0;
}

function insertEvent(orm: Orm, entry: Envelope): void {
  const at = Date.parse(entry.at);
  orm
    .insert(events)
    .values({
      session_id: entry.session_id,
      seq: entry.seq,
      at,
      type: entry.type,
      data: JSON.stringify(entry.data),
      interim: entry.type === "transcript" && !entry.data.final,
    })
    .run();
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
