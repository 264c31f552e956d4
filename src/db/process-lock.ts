import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import Sqlite from "better-sqlite3";
import { z } from "zod";
import { codeOf, Failure } from "../errors.ts";
import { isRunning } from "../lib/is-running.ts";
import { explainOpening } from "./open.ts";

/** Two that start at the same instant can refuse each other for a moment, in ms. */
const TIMEOUT_MS = 500;

/** What the process that has a database writes beside it, for others that are started. */
const note = z.object({ pid: z.int().positive(), host: z.string(), url: z.string().optional() });
type Note = z.infer<typeof note>;

/**
 * The right of one process to a database. It is a transaction that never ends in an empty SQLite
 * file beside the database, `NAME-lock`: SQLite locks files on every system that Parley runs on,
 * and the kernel releases the lock however the process ends. The note with process and address,
 * `NAME-process`, is only for words; nothing is decided by it.
 */
export class ProcessLock implements Disposable {
  readonly #handle: Sqlite.Database;
  readonly #notePath: string;

  constructor(handle: Sqlite.Database, notePath: string) {
    this.#handle = handle;
    this.#notePath = notePath;
  }

  /** Lets others read where this process listens. A disk that is full does not matter here. */
  announce(url?: string): void {
    const written: Note = { pid: process.pid, host: hostname(), ...(url && { url }) };
    const partial = `${this.#notePath}.${process.pid}`;
    try {
      writeFileSync(partial, `${JSON.stringify(written)}\n`, { mode: 0o600 });
      renameSync(partial, this.#notePath);
    } catch {
      rmSync(partial, { force: true });
    }
  }

  [Symbol.dispose](): void {
    if (!this.#handle.open) return;
    rmSync(this.#notePath, { force: true });
    this.#handle.close();
  }
}

/**
 * Takes the lock of a database, whichever of its paths and links is given. Changes nothing when
 * another process has it.
 *
 * @param path of the SQLite file, which need not exist
 * @throws Failure `conflict` with the process that has it, `unavailable` where no file can be made
 */
export function lockDatabase(path: string): ProcessLock {
  let handle: Sqlite.Database | undefined;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const file = realPath(path);
    const lockPath = `${file}-lock`;
    // Not opened again where it exists: closing any descriptor of a file releases a process's locks.
    if (!existsSync(lockPath)) closeSync(openSync(lockPath, "a", 0o600));
    handle = new Sqlite(lockPath, { timeout: TIMEOUT_MS });
    // Nothing is written, so there is nothing to roll back after a crash.
    handle.pragma("journal_mode = MEMORY");
    handle.exec("BEGIN EXCLUSIVE");
    const lock = new ProcessLock(handle, `${file}-process`);
    lock.announce();
    return lock;
  } catch (error) {
    handle?.close();
    if (codeOf(error)?.startsWith("SQLITE_BUSY")) throw inUse(path, error);
    throw explainOpening(error, path);
  }
}

/** @throws Failure `conflict` when a process uses the database at this path */
export function assertUnused(path: string): void {
  if (existsSync(`${realPath(path)}-lock`)) lockDatabase(path)[Symbol.dispose]();
}

/** The process that uses a database, if it could leave a note; undefined when none does. */
export function processUsing(path: string): Note | undefined {
  try {
    assertUnused(path);
    return undefined;
  } catch (error) {
    const holder = readNote(`${realPath(path)}-process`);
    if (holder === undefined) throw error;
    return holder;
  }
}

/** The file itself, behind links, also where it does not exist yet. */
function realPath(path: string): string {
  try {
    return realpathSync.native(path);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
  const target = linkTarget(path);
  if (target !== undefined) return realPath(resolve(dirname(path), target));
  return join(realpathSync.native(dirname(path)), basename(path));
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function inUse(path: string, cause: unknown): Failure {
  const holder = readNote(`${realPath(path)}-process`);
  const who = holder ? `Parley runs already as process ${holder.pid}` : "Another process has it";
  const where = holder?.url ? ` at ${holder.url}` : "";
  return new Failure(
    "conflict",
    `${path} is in use. ${who}${where}: stop it first, or set DATA_DIR to another folder.`,
    { cause },
  );
}

/** The note, unless the process that wrote it is gone: then it says nothing of who has the lock. */
function readNote(path: string): Note | undefined {
  try {
    const read = note.parse(JSON.parse(readFileSync(path, "utf8")));
    return read.host !== hostname() || isRunning(read.pid) ? read : undefined;
  } catch {
    return undefined;
  }
}
