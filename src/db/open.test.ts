import { describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  insertSession,
  MIGRATIONS,
  MIGRATIONS_FOLDER,
  sessionOf,
  temporaryFolder,
} from "../../test/database.ts";
import { Failure } from "../errors.ts";
import { readMigrations } from "./migrations.ts";
import { openDatabase } from "./open.ts";
import { SqliteSessionStore } from "./session-store.ts";

function failureOf(path: string, migrations = MIGRATIONS): Failure {
  try {
    openDatabase(path, migrations).close();
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error("it opened");
}

/** The migrations with one more, whose statements are `sql`. */
function withMigration(folder: string, sql: string) {
  const target = join(folder, "migrations");
  cpSync(MIGRATIONS_FOLDER, target, { recursive: true });
  const journalPath = join(target, "meta/_journal.json");
  const journal = JSON.parse(readFileSync(journalPath, "utf8"));
  const when = Math.max(...journal.entries.map((entry: { when: number }) => entry.when)) + 1;
  journal.entries.push({ idx: 99, version: "6", when, tag: "9999_next", breakpoints: true });
  writeFileSync(journalPath, JSON.stringify(journal));
  writeFileSync(join(target, "9999_next.sql"), sql);
  return readMigrations(target);
}

describe("opening", () => {
  test("makes a private folder and file, and sets what every connection needs", () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "deep/er/parley.db");
    using database = openDatabase(path, MIGRATIONS);
    expect(statSync(join(folder.path, "deep/er")).mode & 0o777).toBe(0o700);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(`${path}-wal`).mode & 0o777).toBe(0o600);
    const pragma = (name: string) => database.handle.pragma(name, { simple: true });
    expect(["journal_mode", "foreign_keys", "busy_timeout", "auto_vacuum"].map(pragma)).toEqual([
      "wal",
      1,
      10,
      2,
    ]);
  });

  test("again, and by a second process's connection, keeps what is stored", () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "parley.db");
    const session = sessionOf();
    using first = openDatabase(path, MIGRATIONS);
    insertSession(first, session);
    using second = openDatabase(path, MIGRATIONS);
    expect(new SqliteSessionStore(second).find(session.id)).toMatchObject(session);
  });

  test("applies only migrations that are new", () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "parley.db");
    openDatabase(path, MIGRATIONS).close();
    const more = withMigration(folder.path, "ALTER TABLE sessions ADD COLUMN mood text;");
    openDatabase(path, more).close();
    using database = openDatabase(path, more);
    expect(database.handle.prepare("select mood from sessions").all()).toEqual([]);
  });

  test("a migration that fails changes nothing and leaves nothing open", () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "parley.db");
    const session = sessionOf();
    {
      using database = openDatabase(path, MIGRATIONS);
      insertSession(database, session);
    }
    const statements = ["DELETE FROM sessions;", "CREATE TABLE oh no;"];
    const more = withMigration(folder.path, statements.join("--> statement-breakpoint\n"));
    expect(failureOf(path, more).message).toContain(path);
    using database = openDatabase(path, MIGRATIONS);
    expect(new SqliteSessionStore(database).find(session.id)).toMatchObject(session);
  });
});

describe("what cannot be opened says why and what to do", () => {
  test("not a database", () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "notes.txt");
    writeFileSync(path, "these are my notes, not a database at all\n".repeat(100));
    const before = readFileSync(path);
    expect(failureOf(path)).toMatchObject({
      kind: "unavailable",
      message: `${path} is not a database: move it away, or set DATABASE_URL to another file`,
    });
    expect(readFileSync(path)).toEqual(before);
  });

  test("made by a newer version", () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "parley.db");
    openDatabase(path, withMigration(folder.path, "CREATE TABLE moods (mood text);")).close();
    expect(failureOf(path).message).toContain("was made by a newer version of Parley");
  });

  test("a folder, or inside a file", () => {
    using folder = temporaryFolder();
    const directory = join(folder.path, "folder.db");
    mkdirSync(directory);
    const file = join(folder.path, "file");
    writeFileSync(file, "");
    for (const path of [directory, join(file, "parley.db")]) {
      expect(failureOf(path).message).toBe(
        `${path} cannot be written: check DATA_DIR, DATABASE_URL and the permissions`,
      );
    }
  });

  test("damaged", () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "parley.db");
    openDatabase(path, MIGRATIONS).close();
    const bytes = readFileSync(path);
    bytes.fill(0xff, 100, bytes.length);
    writeFileSync(path, bytes);
    expect(failureOf(path).message).toMatch(/is damaged|is not a database/);
  });
});

describe("what a migration leaves", () => {
  const ORPHAN = "pragma foreign_keys = off; insert into interims values ('gone', 's', 1, 1, '{}')";

  test("must refer to rows that are there; a start without a migration does not look", () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "parley.db");
    {
      using database = openDatabase(path, MIGRATIONS);
      database.handle.exec(ORPHAN);
    }
    openDatabase(path, MIGRATIONS).close();
    const more = withMigration(folder.path, "ALTER TABLE sessions ADD COLUMN mood text;");
    expect(failureOf(path, more).message).toContain("1 rows refer to rows that are gone");
  });

  test("is announced where there is something to update", () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "parley.db");
    const updates: number[] = [];
    for (const count of [1, 1, MIGRATIONS.length, MIGRATIONS.length]) {
      openDatabase(path, MIGRATIONS.slice(0, count), () => updates.push(count)).close();
    }
    expect(updates).toEqual([MIGRATIONS.length]);
  });
});
