import { and, desc, eq, getTableColumns, lt, ne, or, sql } from "drizzle-orm";
import type { Session, SessionCounts } from "../domain/session.ts";
import type { SessionPage, SessionStore } from "../domain/stores.ts";
import { Failure } from "../errors.ts";
import type { Database } from "./open.ts";
import { sessions } from "./schema.ts";

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

/** Reads the sessions in SQLite. */
export class SqliteSessionStore implements SessionStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
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
