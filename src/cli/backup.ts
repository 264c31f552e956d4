import { existsSync } from "node:fs";
import { chmod, link, open, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import Sqlite from "better-sqlite3";
import { readConfig } from "../config.ts";
import { assertUnused } from "../db/process-lock.ts";
import { codeOf, Failure, messageOf } from "../errors.ts";
import type { Program } from "./serve.ts";

const USAGE = "usage: parley backup FILE\n";
/** Pages copied before the rest of the process gets a turn; 4 MiB. */
const PAGES_PER_STEP = 1024;

/**
 * `parley backup FILE`: makes a consistent copy of the database, even while Parley runs. FILE only
 * appears once it is complete and checked.
 *
 * @returns the exit code: 0, or 2 for wrong arguments
 * @throws Failure that says why no backup was made
 */
export async function backup(
  { resources, defaultDataDir }: Program,
  variables: NodeJS.ProcessEnv,
  args: readonly string[],
): Promise<number> {
  const [file, ...others] = args;
  if (!file || file.startsWith("-") || others.length > 0) {
    process.stderr.write(USAGE);
    return 2;
  }
  const config = readConfig(variables, defaultDataDir === undefined ? {} : { defaultDataDir });
  await resources.database();
  const target = resolve(file);
  const showProgress = process.stderr.isTTY === true;
  await copyDatabase(config.databasePath, target, (percent) => {
    if (showProgress) process.stderr.write(`\rcopying ${percent} %`);
  });
  if (showProgress) process.stderr.write("\r\x1b[K");
  const { size } = await stat(target);
  process.stdout.write(`${target}: ${(size / 2 ** 20).toFixed(1)} MiB, checked\n`);
  return 0;
}

/** Copies the database at `source` to a new file. @throws Failure */
export async function copyDatabase(
  source: string,
  target: string,
  onProgress: (percent: number) => void = () => {},
): Promise<void> {
  if (!existsSync(source)) {
    throw new Failure("not_found", `there is no database at ${source}: check DATA_DIR`);
  }
  if (existsSync(target)) throw alreadyExists(target);
  const partial = join(dirname(target), `.${basename(target)}.${process.pid}.partial`);
  try {
    // A running Parley whose database was deleted would otherwise find another in its place.
    assertUnused(target);
    // Created before SQLite writes to it, so that other users can never read it.
    await (await open(partial, "wx", 0o600)).close();
    await copyPages(source, partial, onProgress);
    await verify(partial);
    await chmod(partial, 0o600);
    await flush(partial);
    await publish(partial, target);
  } catch (error) {
    throw error instanceof Failure ? error : explain(error, target);
  } finally {
    for (const suffix of ["", "-journal", "-wal", "-shm"])
      await rm(`${partial}${suffix}`, { force: true });
  }
}

async function copyPages(
  source: string,
  target: string,
  onProgress: (percent: number) => void,
): Promise<void> {
  const handle = new Sqlite(source, { readonly: true, timeout: 5000 });
  try {
    // An open read transaction pins the snapshot. Without it, every write by Parley would restart the
    // copy, which would never finish while Parley is busy.
    handle.exec("BEGIN");
    handle.prepare("SELECT count(*) FROM sqlite_schema").get();
    await handle.backup(target, {
      progress: ({ totalPages, remainingPages }) => {
        onProgress(Math.floor((100 * (totalPages - remainingPages)) / Math.max(1, totalPages)));
        return PAGES_PER_STEP;
      },
    });
  } finally {
    handle.close();
  }
}

/** Checks the copy for damage and makes it a single file, without a write-ahead log. */
async function verify(path: string): Promise<void> {
  const handle = new Sqlite(path);
  try {
    handle.pragma("journal_mode = DELETE");
    if (handle.pragma("integrity_check(1)", { simple: true }) !== "ok") {
      throw new Failure(
        "unavailable",
        "the database is damaged, and so is the copy: see parley doctor",
      );
    }
  } finally {
    handle.close();
  }
}

async function flush(path: string): Promise<void> {
  const file = await open(path, "r+");
  await file.sync();
  await file.close();
}

/** Gives the copy its name. A link, unlike a rename, never replaces a file that appeared meanwhile. */
async function publish(partial: string, target: string): Promise<void> {
  try {
    await link(partial, target);
  } catch (error) {
    if (codeOf(error) === "EEXIST") throw alreadyExists(target);
    // FAT and some network shares have no hard links.
    if (existsSync(target)) throw alreadyExists(target);
    await rename(partial, target);
  }
}

function alreadyExists(target: string): Failure {
  return new Failure("conflict", `${target} already exists: choose another name`);
}

function explain(error: unknown, target: string): Failure {
  const code = codeOf(error) ?? "";
  const because = (text: string) => new Failure("unavailable", text, { cause: error });
  if (code === "ENOENT") return because(`there is no folder ${dirname(target)}: create it first`);
  if (/^(EACCES|EPERM|EROFS|ENOTDIR|SQLITE_CANTOPEN)/.test(code)) {
    return because(`${target} or the database cannot be opened (${code}): check the permissions`);
  }
  if (/^(ENOSPC|SQLITE_FULL|SQLITE_IOERR)/.test(code)) {
    return because(`${dirname(target)}: the disk is full or failing (${code})`);
  }
  if (/^SQLITE_(NOTADB|CORRUPT)/.test(code)) {
    return because("the database is damaged: see parley doctor");
  }
  return because(`no backup could be made: ${messageOf(error)}`);
}
