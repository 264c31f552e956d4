import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDatabase } from "../../db/open.ts";
import { sourceResources } from "../../resources.ts";
import { checkDatabase, checkDataDirectory } from "./storage.ts";

const migrations = sourceResources().migrations();
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "parley-doctor-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("a data directory that exists, and one to be created, pass and are not changed", async () => {
  expect((await checkDataDirectory(folder)).status).toBe("ok");
  const later = join(folder, "a", "b");
  const found = await checkDataDirectory(later);
  expect(found).toMatchObject({ status: "ok", detail: expect.stringContaining("will be created") });
  expect(readdirSync(folder)).toEqual([]);
});

test("a file in place of the data directory is named, with a hint", async () => {
  const file = join(folder, "data");
  writeFileSync(file, "");
  expect(await checkDataDirectory(file)).toMatchObject({
    status: "failed",
    hint: expect.stringContaining("DATA_DIR"),
  });
  // A folder cannot be created below it either.
  expect((await checkDataDirectory(join(file, "below"))).status).toBe("failed");
});

test("a disk without space fails", async () => {
  if (process.platform !== "linux") return;
  const found = await checkDataDirectory("/proc/parley");
  expect(found).toMatchObject({ status: "failed", hint: expect.stringContaining("DATA_DIR") });
});

test("a database of this version is intact, and a missing one will be created", async () => {
  const path = join(folder, "parley.db");
  expect((await checkDatabase(path, migrations)).detail).toContain("created at the first start");
  expect(existsSync(path)).toBe(false);
  using database = openDatabase(path, migrations);
  // While Parley has it open.
  const found = await checkDatabase(path, migrations);
  expect(found.status).toBe("ok");
  expect(found.detail).toContain(`schema ${migrations.length} of ${migrations.length}`);
  database.close();
  expect((await checkDatabase(path, [])).detail).toContain("newer version");
});

test("a file that is not a database, and a damaged one, must be replaced by a backup", async () => {
  const path = join(folder, "parley.db");
  writeFileSync(path, "this is not a database".repeat(100));
  expect(await checkDatabase(path, migrations)).toMatchObject({
    status: "failed",
    hint: expect.stringContaining("backup"),
  });
  rmSync(path);
  openDatabase(path, migrations).close();
  const bytes = new Uint8Array(await Bun.file(path).arrayBuffer());
  bytes.fill(0xff, 4096, 12_288);
  writeFileSync(path, bytes);
  expect((await checkDatabase(path, migrations)).status).toBe("failed");
});

test("a folder that this user may not write has a hint", async () => {
  if (process.getuid?.() === 0) return;
  chmodSync(folder, 0o500);
  expect((await checkDataDirectory(folder)).hint).toContain("chown");
});
