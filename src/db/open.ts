import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import Sqlite from "better-sqlite3";
import { type BetterSQLite3Database, drizzle } from "drizzle-orm/better-sqlite3";
import type { MigrationMeta } from "drizzle-orm/migrator";
import { codeOf, Failure, messageOf } from "../errors.ts";

/** How long opening waits for a write of another program, in ms. */
const OPENING_TIMEOUT_MS = 5000;
/**
 * How long a statement waits afterwards, in ms. It waits on the event loop, which plays the voices
 * of all conversations, so a write that takes longer fails and is tried again later.
 */
const BUSY_TIMEOUT_MS = 10;

/** What the write-ahead log keeps of its size once it is merged; a backup or an update let it grow. */
const MAX_LOG_BYTES = 64 * 1024 * 1024;

/** An open database with the current schema. */
export class Database implements Disposable {
  /** For queries. */
  readonly orm: BetterSQLite3Database;
  /** For what Drizzle cannot express: backups and pragmas. */
  readonly handle: Sqlite.Database;
  #synchronous: "FULL" | "NORMAL" | undefined;

  constructor(handle: Sqlite.Database) {
    this.handle = handle;
    this.orm = drizzle(handle);
  }

  /**
   * Does `work` in one transaction, which is undone when it throws.
   *
   * @param how `durable`: on disk when it returns, so that it survives a power cut. `fast`: with
   *   the operating system, so that it survives a crash of Parley; the next durable one brings it to
   *   the disk as well.
   * @throws SqliteError `SQLITE_BUSY` when another program is writing; nothing has changed then
   */
  write<T>(how: "durable" | "fast", work: () => T): T {
    const synchronous = how === "durable" ? "FULL" : "NORMAL";
    // Within a transaction the level cannot be changed.
    if (this.#synchronous !== synchronous) this.handle.pragma(`synchronous = ${synchronous}`);
    this.#synchronous = synchronous;
    return this.handle.transaction(work).immediate();
  }

  /** Closes the file and merges the write-ahead log into it. Closing again does nothing. */
  close(): void {
    this.handle.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Opens the database, creating folder (0700) and file (0600) where missing, and brings its schema
 * up to date in one transaction.
 *
 * @param path of the SQLite file
 * @param migrations oldest first
 * @param onUpdate called before an existing database is changed, which can take a minute for a
 *   very long history
 * @throws Failure `unavailable`: not a database, not writable, locked, or made by a newer Parley;
 *   nothing is left open then
 */
export function openDatabase(
  path: string,
  migrations: readonly MigrationMeta[],
  onUpdate: () => void = () => {},
): Database {
  let handle: Sqlite.Database | undefined;
  try {
    prepareFile(path);
    handle = new Sqlite(path, { timeout: OPENING_TIMEOUT_MS });
    // Only a new file takes it, and only before anything else is written.
    handle.pragma("auto_vacuum = INCREMENTAL");
    handle.pragma("journal_mode = WAL");
    handle.pragma(`journal_size_limit = ${MAX_LOG_BYTES}`);
    migrate(handle, migrations, onUpdate);
    handle.pragma("foreign_keys = ON");
    handle.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`);
    return new Database(handle);
  } catch (error) {
    handle?.close();
    throw explainOpening(error, path);
  }
}

function prepareFile(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  // Conversations are private; SQLite gives its -wal and -shm files the same mode.
  closeSync(openSync(path, "a", 0o600));
}

/**
 * Applies migrations like drizzle-orm's migrator, whose table it shares, with two differences: the
 * check and the change are one transaction, and a newer schema is refused. Foreign keys are off,
 * because SQLite alters tables by rebuilding them.
 */
function migrate(
  handle: Sqlite.Database,
  migrations: readonly MigrationMeta[],
  onUpdate: () => void,
): void {
  handle.pragma("foreign_keys = OFF");
  handle
    .transaction(() => {
      handle.exec(
        "CREATE TABLE IF NOT EXISTS __drizzle_migrations " +
          "(id INTEGER PRIMARY KEY, hash text NOT NULL, created_at numeric)",
      );
      const applied = appliedUpTo(handle);
      const known = Math.max(0, ...migrations.map((migration) => migration.folderMillis));
      if (applied > known) throw new NewerSchema();
      const pending = migrations.filter(({ folderMillis }) => folderMillis > applied);
      if (pending.length === 0) return;
      if (applied > 0) onUpdate();
      for (const migration of pending) apply(handle, migration);
      const broken = handle.pragma("foreign_key_check");
      if (Array.isArray(broken) && broken.length > 0) {
        throw new Error(`${broken.length} rows refer to rows that are gone`);
      }
    })
    .immediate();
}

function appliedUpTo(handle: Sqlite.Database): number {
  const row = handle
    .prepare<[], { at: number | null }>("SELECT max(created_at) AS at FROM __drizzle_migrations")
    .get();
  return Number(row?.at ?? 0);
}

function apply(handle: Sqlite.Database, migration: MigrationMeta): void {
  for (const statement of migration.sql) handle.exec(statement);
  handle
    .prepare("INSERT INTO __drizzle_migrations (hash, created_at) VALUES (?, ?)")
    .run(migration.hash, migration.folderMillis);
}

class NewerSchema extends Error {}

/** Why a database, or a file beside it, cannot be opened, and what to do about it. */
export function explainOpening(error: unknown, path: string): Failure {
  const because = (text: string) => new Failure("unavailable", text, { cause: error });
  if (error instanceof NewerSchema) {
    return because(
      `${path} was made by a newer version of Parley: update Parley, or restore a backup`,
    );
  }
  const code = codeOf(error) ?? "";
  if (/^SQLITE_NOTADB/.test(code)) {
    return because(`${path} is not a database: move it away, or set DATABASE_URL to another file`);
  }
  if (/^SQLITE_CORRUPT/.test(code)) return because(`${path} is damaged: restore a backup of it`);
  if (/^SQLITE_(BUSY|LOCKED)/.test(code)) {
    return because(`${path} is locked by another program: stop it and start Parley again`);
  }
  if (/^(SQLITE_(CANTOPEN|READONLY|PERM)|EACCES|EPERM|EROFS|EISDIR|ENOTDIR|EEXIST)/.test(code)) {
    return because(`${path} cannot be written: check DATA_DIR, DATABASE_URL and the permissions`);
  }
  if (/^(SQLITE_FULL|ENOSPC)/.test(code)) return because(`${path}: the disk is full`);
  return because(`${path} cannot be opened: ${messageOf(error)}`);
}
