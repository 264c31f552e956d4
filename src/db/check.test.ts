import { describe, expect, test } from "bun:test";
import { copyFileSync, renameSync, rmSync, truncateSync } from "node:fs";
import Sqlite from "better-sqlite3";
import { temporaryDatabase } from "../../test/database.ts";
import { databaseCheck } from "./check.ts";

test("a database that works passes, again and again, and what it stores is the same", async () => {
  using temporary = temporaryDatabase();
  const check = databaseCheck(temporary.database);
  for (let i = 0; i < 3; i++) await check();
  expect(temporary.database.handle.pragma("integrity_check", { simple: true })).toBe("ok");
});

describe("a database that cannot store is noticed", () => {
  const faults: [what: string, break_: (path: string) => void, says: string][] = [
    ["deleted", (path) => rmSync(path), "deleted"],
    [
      "replaced by a copy",
      (path) => {
        copyFileSync(path, `${path}.copy`);
        renameSync(`${path}.copy`, path);
      },
      "replaced",
    ],
    ["emptied", (path) => truncateSync(path), "emptied"],
    ["without its log", (path) => rmSync(`${path}-wal`), "write-ahead log was deleted"],
  ];
  test.each(faults)("when its file is %s", async (_what, breakIt, says) => {
    using temporary = temporaryDatabase();
    const check = databaseCheck(temporary.database);
    await check();
    breakIt(temporary.path);
    await expect(check()).rejects.toThrow(says);
  });

  test("when it refuses to be written", async () => {
    using temporary = temporaryDatabase();
    const check = databaseCheck(temporary.database);
    temporary.database.handle.pragma("query_only = ON");
    await expect(check()).rejects.toThrow("the database cannot be written");
  });

  test("when another program keeps it locked, and not when it does so for a moment", async () => {
    using temporary = temporaryDatabase();
    const check = databaseCheck(temporary.database);
    const other = new Sqlite(temporary.path);
    other.exec("BEGIN IMMEDIATE");
    await expect(check()).rejects.toThrow("another program has locked the database");
    const checked = check();
    other.exec("COMMIT");
    await checked;
    other.close();
  });
});
