import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readMigrations } from "../src/db/migrations.ts";
import { type Database, openDatabase } from "../src/db/open.ts";
import { sessions } from "../src/db/schema.ts";
import { SqliteSessionLog } from "../src/db/session-log.ts";
import { SqliteSessionStore } from "../src/db/session-store.ts";
import { SqliteTranscriptStore } from "../src/db/transcript-store.ts";
import type { Session } from "../src/domain/session.ts";
import type { Envelope } from "../src/domain/transcript.ts";

export const MIGRATIONS_FOLDER = join(import.meta.dir, "../drizzle");
export const MIGRATIONS = readMigrations(MIGRATIONS_FOLDER);

/** A folder that is removed at the end of its scope. */
export function temporaryFolder(): { path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), "parley-db-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** A database in a temporary folder; both are removed at the end of their scope. */
export function temporaryDatabase() {
  const folder = temporaryFolder();
  const path = join(folder.path, "parley.db");
  const database = openDatabase(path, MIGRATIONS);
  return {
    database,
    path,
    [Symbol.dispose]: () => {
      database.close();
      folder[Symbol.dispose]();
    },
  };
}

/** The stores over a temporary database, and what the log published; the clock is set by hand. */
export function temporaryStores(now = 1_700_000_000_000) {
  const temporary = temporaryDatabase();
  const { database } = temporary;
  const published: Envelope[] = [];
  const clock = { now };
  const log = new SqliteSessionLog({
    database,
    publish: (envelope) => published.push(envelope),
    now: () => clock.now,
  });
  return {
    ...{ database, log, published, clock, path: temporary.path },
    sessions: new SqliteSessionStore(database),
    transcripts: new SqliteTranscriptStore(database),
    [Symbol.dispose]: () => temporary[Symbol.dispose](),
  };
}

/** Stores a session as it is, without events. */
export function insertSession(database: Database, session: Session): void {
  database.orm.insert(sessions).values(session).run();
}

export function sessionOf(change: Partial<Session> = {}): Session {
  const id = Bun.randomUUIDv7();
  return {
    id,
    room: `room-${id}`,
    identity: "ann",
    name: "Ann",
    system_prompt: "Be brief.",
    greeting: null,
    voice: "alloy",
    language: null,
    keyterms: [],
    stt_model: "whisper-1",
    llm_model: "gpt-4o-mini",
    tts_model: "tts-1",
    state: "active",
    started_at: 1_700_000_000_000,
    ended_at: null,
    end_reason: null,
    ...change,
  };
}
