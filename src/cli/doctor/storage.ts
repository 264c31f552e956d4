import { existsSync, statSync } from "node:fs";
import { access, constants, rm, statfs, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import Sqlite from "better-sqlite3";
import type { MigrationMeta } from "drizzle-orm/migrator";
import { messageOf } from "../../errors.ts";
import { type Finding, failed, ok, warning } from "./check.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;
/** Below this no conversation should be started. */
const NO_SPACE = 100 * MIB;
const LITTLE_SPACE = GIB;
/** A larger database is not read through: that cannot be stopped and would take long. */
const READ_THROUGH_BELOW = GIB;
const WRITABLE_MEND = "Give the user that runs Parley this folder (chown), or set DATA_DIR.";

/** The data directory: there or to be made, writable, with room. Makes nothing that stays. */
export async function checkDataDirectory(dataDir: string): Promise<Finding> {
  const exists = existsSync(dataDir);
  if (exists && !statSync(dataDir).isDirectory()) {
    return failed(`${dataDir} is not a folder`, "Move it away, or set DATA_DIR to a folder.");
  }
  const folder = exists ? dataDir : nearestFolder(dataDir);
  try {
    if (exists) await tryToWrite(folder);
    else await access(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    if (codeOf(error) === "ENOSPC") return failed(`the disk of ${folder} is full`, "Free space.");
    return failed(`${folder} cannot be written (${codeOf(error)})`, WRITABLE_MEND);
  }
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const what = `${dataDir}${exists ? "" : " is made at the first start"}, ${amount(free)} free`;
  const mend = "Free space on that disk, or set DATA_DIR to another.";
  if (free < NO_SPACE) return failed(what, mend);
  return free < LITTLE_SPACE ? warning(what, mend) : ok(what);
}

/** Access rights do not tell of read-only mounts, quotas and network shares; writing does. */
async function tryToWrite(folder: string): Promise<void> {
  const probe = join(folder, `.doctor-${process.pid}`);
  try {
    await writeFile(probe, "parley doctor\n", { flag: "wx", mode: 0o600 });
  } finally {
    await rm(probe, { force: true });
  }
}

function nearestFolder(path: string): string {
  let at = path;
  while (!existsSync(at) && dirname(at) !== at) at = dirname(at);
  return at;
}

/** The database: opens, is whole, and has a schema that this version knows. Changes nothing. */
export async function checkDatabase(
  path: string,
  migrations: readonly MigrationMeta[],
): Promise<Finding> {
  if (!existsSync(path)) return ok(`${path} is made at the first start`);
  const { size } = statSync(path);
  if (size === 0) return ok(`${path} is empty and filled at the first start`);
  const move = "Move it away and restore a backup (docs/DEPLOY.md), or set DATABASE_URL.";
  let handle: Sqlite.Database | undefined;
  try {
    handle = new Sqlite(path, { readonly: true, fileMustExist: true, timeout: 2000 });
    const whole = size >= READ_THROUGH_BELOW || handle.pragma("quick_check(1)", { simple: true });
    if (whole !== true && whole !== "ok") return failed(`${path} is damaged`, move);
    const applied = appliedUpTo(handle);
    const known = migrations.map(({ folderMillis }) => folderMillis);
    if (applied > Math.max(0, ...known)) {
      const mend = "Update Parley, or restore a backup that this version made.";
      return failed(`${path} was made by a newer version of Parley`, mend);
    }
    const version = known.filter((at) => at <= applied).length;
    const pending = known.length - version;
    const then = pending === 0 ? "" : `, ${pending} changes are made at the next start`;
    const read = whole === true ? "too large to be read through" : "whole";
    return ok(`${path}, ${amount(size)}, ${read}, schema ${version} of ${known.length}${then}`);
  } catch (error) {
    const code = codeOf(error);
    if (/^SQLITE_(NOTADB|CORRUPT)/.test(code))
      return failed(`${path} is not a whole database`, move);
    if (/^SQLITE_(BUSY|LOCKED)/.test(code)) {
      return failed(`${path} is locked by another program`, "Stop that program and try again.");
    }
    return failed(`${path} cannot be opened (${code || messageOf(error)})`, WRITABLE_MEND);
  } finally {
    handle?.close();
  }
}

function appliedUpTo(handle: Sqlite.Database): number {
  const table = handle
    .prepare("SELECT 1 FROM sqlite_schema WHERE name = '__drizzle_migrations'")
    .get();
  if (table === undefined) return 0;
  const row = handle
    .prepare<[], { at: number | null }>("SELECT max(created_at) AS at FROM __drizzle_migrations")
    .get();
  return Number(row?.at ?? 0);
}

function amount(bytes: number): string {
  return bytes < GIB ? `${Math.ceil(bytes / MIB)} MiB` : `${(bytes / GIB).toFixed(1)} GiB`;
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
