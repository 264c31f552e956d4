import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Database, openDatabase } from "../db/open.ts";
import { sourceResources } from "../resources.ts";
import { backup, copyDatabase } from "./backup.ts";

const resources = sourceResources();
let folder: string;
let source: string;
let database: Database;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "parley-backup-"));
  source = join(folder, "parley.db");
  database = openDatabase(source, resources.migrations());
  database.handle.exec("CREATE TABLE words (word TEXT)");
  const insert = database.handle.prepare("INSERT INTO words VALUES (?)");
  database.handle.transaction(() => {
    for (let i = 0; i < 50_000; i++) insert.run(`word ${i} `.repeat(20));
  })();
});
afterEach(() => {
  database.close();
  rmSync(folder, { recursive: true, force: true });
});

function wordsIn(path: string): unknown {
  using copy = openDatabase(path, resources.migrations());
  return copy.handle.prepare("SELECT count(*) FROM words").pluck().get();
}

test("a copy made during writes is one snapshot of the database, private and without other files", async () => {
  const insert = database.handle.prepare("INSERT INTO words VALUES ('more')");
  // Each step of the copy lets a write in between.
  const percents: number[] = [];
  const target = join(folder, "copy.db");
  await copyDatabase(source, target, (percent) => {
    percents.push(percent);
    insert.run();
  });
  expect(percents.length).toBeGreaterThan(2);
  expect(statSync(target).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder).filter((name) => name.includes("copy"))).toEqual(["copy.db"]);
  expect(wordsIn(target)).toBe(50_000);
  expect(database.handle.prepare("SELECT count(*) FROM words").pluck().get()).toBe(
    50_000 + percents.length,
  );
});

test("an existing file is not touched", async () => {
  const target = join(folder, "copy.db");
  writeFileSync(target, "precious");
  await expect(copyDatabase(source, target)).rejects.toThrow("already exists");
  await expect(copyDatabase(source, source)).rejects.toThrow("already exists");
  expect(await Bun.file(target).text()).toBe("precious");
});

test("failures say what is wrong and leave nothing", async () => {
  const target = join(folder, "copy.db");
  await expect(copyDatabase(join(folder, "none.db"), target)).rejects.toThrow("check DATA_DIR");
  await expect(copyDatabase(source, join(folder, "no", "copy.db"))).rejects.toThrow(
    "create it first",
  );
  const broken = join(folder, "broken.db");
  writeFileSync(broken, "no database".repeat(1000));
  await expect(copyDatabase(broken, target)).rejects.toThrow("parley doctor");
  expect(existsSync(target)).toBe(false);
  expect(readdirSync(folder).filter((name) => name.includes("partial"))).toEqual([]);
});

test("wrong arguments are distinguished from failures", async () => {
  const variables = { DATA_DIR: folder };
  expect(await backup({ command: [], resources }, variables, [])).toBe(2);
  expect(await backup({ command: [], resources }, variables, ["a", "b"])).toBe(2);
  expect(await backup({ command: [], resources }, variables, ["--help"])).toBe(2);
  expect(await backup({ command: [], resources }, variables, [join(folder, "copy.db")])).toBe(0);
});
