import { existsSync, statSync } from "node:fs";
import { access, constants, rm, statfs, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import Sqlite from "better-sqlite3";
import type { MigrationMeta } from "drizzle-orm/migrator";
import { codeOf, messageOf } from "../../errors.ts";
import { type Finding, failed, ok, warning } from "./check.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;
/** With less free space than this, no conversation should be started. */
const MIN_FREE_BYTES = 100 * MIB;
const LOW_FREE_BYTES = GIB;
/** Checking a larger database for damage would take long and cannot be stopped. */
const MAX_CHECKED_BYTES = GIB;
const PERMISSION_HINT =
  "Make the user that runs Parley the owner of this folder (chown), or set DATA_DIR.";

/**
 * Checks that the data directory exists or can be created, is writable and has free space. Leaves
 * nothing behind.
 */
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
    return failed(`${folder} cannot be written (${codeOf(error)})`, PERMISSION_HINT);
  }
  const { bavail, bsize } = await statfs(folder);
  const freeBytes = bavail * bsize;
  const future = exists ? "" : " will be created at the first start";
  const detail = `${dataDir}${future}, ${formatSize(freeBytes)} free`;
  const hint = "Free space on that disk, or set DATA_DIR to another.";
  if (freeBytes < MIN_FREE_BYTES) return failed(detail, hint);
  return freeBytes < LOW_FREE_BYTES ? warning(detail, hint) : ok(detail);
}

/** Writes a file: permissions alone do not show read-only mounts, quotas and network shares. */
async function tryToWrite(folder: string): Promise<void> {
  const probe = join(folder, `.doctor-${process.pid}`);
  try {
    await writeFile(probe, "parley doctor\n", { flag: "wx", mode: 0o600 });
  } finally {
    await rm(probe, { force: true });
  }
}

function nearestFolder(path: string): string {
  let folder = path;
  while (!existsSync(folder) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}

const RESTORE_HINT = "Move it away and restore a backup (docs/DEPLOY.md), or set DATABASE_URL.";

/** Checks that the database opens, is intact and has a schema that this version knows. */
export async function checkDatabase(
  path: string,
  migrations: readonly MigrationMeta[],
): Promise<Finding> {
  if (!existsSync(path)) return ok(`${path} will be created at the first start`);
  const { size } = statSync(path);
  if (size === 0) return ok(`${path} is empty and will be set up at the first start`);
  let handle: Sqlite.Database | undefined;
  try {
    handle = new Sqlite(path, { readonly: true, fileMustExist: true, timeout: 2000 });
    const isChecked = size < MAX_CHECKED_BYTES;
    if (isChecked && handle.pragma("quick_check(1)", { simple: true }) !== "ok") {
      return failed(`${path} is damaged`, RESTORE_HINT);
    }
    const integrity = isChecked ? "intact" : "too large to be checked for damage";
    const facts = `${path}, ${formatSize(size)}, ${integrity}`;
    return schemaFinding(path, facts, appliedUpTo(handle), migrations);
  } catch (error) {
    return openFailure(path, error);
  } finally {
    handle?.close();
  }
}

function schemaFinding(
  path: string,
  facts: string,
  applied: number,
  migrations: readonly MigrationMeta[],
): Finding {
  const known = migrations.map(({ folderMillis }) => folderMillis);
  if (applied > Math.max(0, ...known)) {
    const hint = "Update Parley, or restore a backup that this version made.";
    return failed(`${path} was made by a newer version of Parley`, hint);
  }
  const version = known.filter((at) => at <= applied).length;
  const pending = known.length - version;
  const upgrade = pending === 0 ? "" : `, ${pending} migrations will run at the next start`;
  return ok(`${facts}, schema ${version} of ${known.length}${upgrade}`);
}

function openFailure(path: string, error: unknown): Finding {
  const code = codeOf(error) ?? "";
  if (/^SQLITE_(NOTADB|CORRUPT)/.test(code)) {
    return failed(`${path} is not a valid database`, RESTORE_HINT);
  }
  if (/^SQLITE_(BUSY|LOCKED)/.test(code)) {
    return failed(`${path} is locked by another program`, "Stop that program and try again.");
  }
  return failed(`${path} cannot be opened (${code || messageOf(error)})`, PERMISSION_HINT);
}

/** @returns when the newest applied migration was made, in ms since the epoch; 0: none */
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

function formatSize(bytes: number): string {
  return bytes < GIB ? `${Math.ceil(bytes / MIB)} MiB` : `${(bytes / GIB).toFixed(1)} GiB`;
}
