import { and, desc, eq, getTableColumns, lt, ne, or, sql } from "drizzle-orm";
import type { Session, SessionCounts } from "../domain/session.ts";
import type { SessionPage, SessionStore } from "../domain/stores.ts";
import type { Envelope } from "../domain/transcript.ts";
import { Failure } from "../errors.ts";
import type { Database } from "./open.ts";
import { sessions } from "./schema.ts";
import { appendEnvelope, position } from "./transcript-store.ts";

const withCounts = {
  ...getTableColumns(sessions),
  segments: sql<number>`(select count(*) from segments where segments.session_id = sessions.id)`,
  turns: sql<number>`(select count(*) from turns where turns.session_id = sessions.id)`,
  heard_language: sql<string | null>`(
    select language from segments
    where segments.session_id = sessions.id and segments.language is not null
    group by language order by count(*) desc, min(seq) limit 1
  )`,
};

/** Sessions in SQLite. */
export class SqliteSessionStore implements SessionStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** @throws Failure `conflict` when another live session uses the room */
  insert(session: Session): void {
    assertRoomFree(session.room, () => {
      this.#database.orm.insert(sessions).values(session).run();
    });
  }

  /** Changes the given fields only; an unknown id is not an error. */
  update(id: string, change: Partial<Omit<Session, "id">>): void {
    if (Object.values(change).every((value) => value === undefined)) return;
    assertRoomFree(change.room ?? id, () => {
      this.#database.orm.update(sessions).set(change).where(eq(sessions.id, id)).run();
    });
  }

  /** Deletes the session with its segments, turns and events. */
  delete(id: string): void {
    this.#database.orm.delete(sessions).where(eq(sessions.id, id)).run();
  }

  find(id: string): (Session & SessionCounts) | undefined {
    return this.#database.orm.select(withCounts).from(sessions).where(eq(sessions.id, id)).get();
  }

  live(): (Session & SessionCounts)[] {
    return this.#database.orm
      .select(withCounts)
      .from(sessions)
      .where(ne(sessions.state, "ended"))
      .orderBy(desc(sessions.started_at), desc(sessions.id))
      .all();
  }

  /**
   * @param options.limit at least 1
   * @throws Failure `invalid` when `before` is not a cursor of an earlier page
   */
  page(options: { limit: number; before?: string }): SessionPage {
    const before = options.before === undefined ? undefined : readCursor(options.before);
    const rows = this.#database.orm
      .select(withCounts)
      .from(sessions)
      .where(
        before &&
          or(
            lt(sessions.started_at, before.started_at),
            and(eq(sessions.started_at, before.started_at), lt(sessions.id, before.id)),
          ),
      )
      .orderBy(desc(sessions.started_at), desc(sessions.id))
      // One more than requested shows whether there is a next page.
      .limit(options.limit + 1)
      .all();
    const page = rows.slice(0, options.limit);
    const last = page.at(-1);
    return { sessions: page, next: rows.length > page.length && last ? cursorOf(last) : null };
  }

  /** @returns the `session ended` events that it logged, for clients of other nodes */
  endCrashed(at: number): Envelope[] {
    return this.#database.orm.transaction(
      (transaction) => {
        const open = ne(sessions.state, "ended");
        const crashed = transaction
          .update(sessions)
          .set({ state: "ended", end_reason: "crashed", ended_at: at })
          .where(open)
          .returning({ id: sessions.id })
          .all();
        return crashed.map(({ id }) => {
          const envelope: Envelope = {
            type: "session",
            seq: position(transaction, id).seq + 1,
            session_id: id,
            at: new Date(at).toISOString(),
            data: { state: "ended", reason: "crashed" },
          };
          appendEnvelope(transaction, envelope);
          return envelope;
        });
      },
      { behavior: "immediate" },
    );
  }
}

function assertRoomFree(room: string, write: () => void): void {
  try {
    write();
  } catch (error) {
    // Drizzle may wrap the error of better-sqlite3.
    const texts = [error, error instanceof Error ? error.cause : undefined].map(String);
    if (texts.some((text) => text.includes("UNIQUE constraint failed: sessions.room"))) {
      throw new Failure("conflict", `A session is already running in room "${room}"`, {
        cause: error,
      });
    }
    throw error;
  }
}

function cursorOf(session: Pick<Session, "started_at" | "id">): string {
  return Buffer.from(`${session.started_at}.${session.id}`).toString("base64url");
}

function readCursor(cursor: string): Pick<Session, "started_at" | "id"> {
  const match = /^(\d{1,15})\.([0-9a-f-]{36})$/.exec(Buffer.from(cursor, "base64url").toString());
  const [, startedAt, id] = match ?? [];
  if (startedAt === undefined || id === undefined) {
    throw new Failure("invalid", "before is not a cursor of an earlier page", {
      errors: [{ path: "before", message: "is not a cursor of an earlier page" }],
    });
  }
  return { started_at: Number(startedAt), id };
}
