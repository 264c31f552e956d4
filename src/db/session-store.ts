import type { Session, SessionCounts } from "../domain/session.ts";
import type { SessionPage, SessionStore } from "../domain/stores.ts";
import { Failure } from "../errors.ts";
import type { Database } from "./open.ts";
import type { sessions } from "./schema.ts";
import { prepareSessionReads } from "./statements.ts";

type Cursor = Pick<Session, "started_at" | "id">;

/** After every session that there can be: the first page begins below it. */
const NEWEST: Cursor = { started_at: Number.MAX_SAFE_INTEGER, id: "" };

/** Reads the sessions in SQLite. What a request costs does not depend on how many there are. */
export class SqliteSessionStore implements SessionStore {
  readonly #queries: ReturnType<typeof prepareSessionReads>;

  constructor(database: Database) {
    this.#queries = prepareSessionReads(database);
  }

  find(id: string): (Session & SessionCounts) | undefined {
    const row = this.#queries.find.get({ id });
    return row && sessionOf(row);
  }

  live(): (Session & SessionCounts)[] {
    return this.#queries.live.all().map(sessionOf).sort(newestFirst);
  }

  /**
   * @param options.limit at least 1
   * @throws Failure `invalid` when `before` is not a cursor of an earlier page
   */
  page(options: { limit: number; before?: string }): SessionPage {
    const before = options.before === undefined ? NEWEST : readCursor(options.before);
    // One more than requested shows whether there is a next page.
    const rows = this.#queries.page.all({ ...before, limit: options.limit + 1 });
    const page = rows.slice(0, options.limit).map(sessionOf);
    const last = page.at(-1);
    return { sessions: page, next: rows.length > page.length && last ? cursorOf(last) : null };
  }
}

function sessionOf({
  languages,
  ...session
}: typeof sessions.$inferSelect): Session & SessionCounts {
  return { ...session, heard_language: mostHeard(languages) };
}

/** The language that was heard most, of several the one that was heard first. */
function mostHeard(languages: Record<string, number>): string | null {
  let most: string | null = null;
  for (const [language, count] of Object.entries(languages)) {
    if (count > (most === null ? 0 : (languages[most] ?? 0))) most = language;
  }
  return most;
}

function newestFirst(one: Session, other: Session): number {
  return other.started_at - one.started_at || (one.id < other.id ? 1 : -1);
}

function cursorOf(session: Cursor): string {
  return Buffer.from(`${session.started_at}.${session.id}`).toString("base64url");
}

function readCursor(cursor: string): Cursor {
  const match = /^(\d{1,15})\.([0-9a-f-]{36})$/.exec(Buffer.from(cursor, "base64url").toString());
  const [, startedAt, id] = match ?? [];
  if (startedAt === undefined || id === undefined) {
    throw new Failure("invalid", "before is not a cursor of an earlier page", {
      errors: [{ path: "before", message: "is not a cursor of an earlier page" }],
    });
  }
  return { started_at: Number(startedAt), id };
}
