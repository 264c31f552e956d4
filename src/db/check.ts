import { accessSync, constants, existsSync, statfsSync, statSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { codeOf, Failure } from "../errors.ts";
import { diskFailure } from "./disk-failure.ts";
import type { Database } from "./open.ts";

/** A disk with less than this is as good as full, in bytes. */
const MIN_FREE = 1024 * 1024;
/** How long a write waits for another program, in ms; on timers, not on the event loop. */
const BUSY_MS = 1000;
const RETRY_MS = 50;

/**
 * A check that conversations can be stored: the file is still the one that was opened, its disk has
 * room, and a small write arrives. Its messages name no path, since anybody may read them.
 */
export function databaseCheck(database: Database): () => Promise<void> {
  const { name: path } = database.handle;
  const opened = identityOf(path);
  return async () => {
    assertSameFile(path, opened);
    assertRoom(path);
    await write(database);
    // SQLite keeps it for as long as the database is open.
    if (!existsSync(`${path}-wal`)) throw broken("its write-ahead log was deleted");
  };
}

/** The size of the file and of its write-ahead log, in bytes. */
export function sizeOf({ handle }: Database): { file: number; log: number } {
  const size = (path: string) => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  return { file: size(handle.name), log: size(`${handle.name}-wal`) };
}

function assertSameFile(path: string, opened: string | undefined): void {
  const found = identityOf(path);
  if (found === undefined) throw broken("its file was deleted");
  if (found !== opened) throw broken("its file was replaced");
  if (statSync(path).size === 0) throw broken("its file was emptied");
  try {
    accessSync(path, constants.W_OK);
  } catch {
    throw new Failure("unavailable", "The database's file is read-only. Check its permissions.");
  }
}

function assertRoom(path: string): void {
  const { bavail, bfree, bsize } = statfsSync(path);
  // Some file systems keep the last blocks for root.
  const free = (process.getuid?.() === 0 ? bfree : bavail) * bsize;
  if (free < MIN_FREE) {
    throw new Failure("unavailable", "The database's disk is full. Free some space there.");
  }
}

/** Writes a number of SQLite's header that nothing else uses. */
async function write(database: Database): Promise<void> {
  const { handle } = database;
  for (const deadline = performance.now() + BUSY_MS; ; await delay(RETRY_MS)) {
    try {
      database.write("fast", () => {
        const version = Number(handle.pragma("user_version", { simple: true }));
        handle.pragma(`user_version = ${version === 0 ? 1 : 0}`);
      });
      return;
    } catch (error) {
      if (codeOf(error) === "SQLITE_BUSY" && performance.now() < deadline) continue;
      throw diskFailure(error, "the database") ?? error;
    }
  }
}

/** Tells a file from another one of the same name; undefined where there is none. */
function identityOf(path: string): string | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats && `${stats.dev} ${stats.ino}`;
}

function broken(what: string): Failure {
  return new Failure(
    "unavailable",
    `The database cannot be used: ${what}. Restart Parley, with a backup where one is needed.`,
  );
}
