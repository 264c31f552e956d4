import { open, readFile, rename, rm, stat, utimes } from "node:fs/promises";
import { hostname } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { codeOf } from "../errors.ts";
import { isRunning } from "./is-running.ts";

const HEARTBEAT_MS = 2000;
/** The owner of a lock that was not touched for this long is gone, on whichever machine it ran. */
const STALE_MS = 15_000;
const POLL_MS = 100;

export interface LockOptions {
  signal?: AbortSignal | undefined;
  /** Called once if another process holds the lock. */
  onWait?: () => void;
}

/**
 * Acquires a lock between processes, and waits for it as long as its owner lives.
 *
 * It saves two processes from doing the same long work twice, and does not protect files: the code
 * under the lock must write to another name and rename, because a slow owner can look stale.
 */
export async function lock(path: string, options: LockOptions = {}): Promise<AsyncDisposable> {
  for (let waited = false; ; waited = true) {
    options.signal?.throwIfAborted();
    if (await create(path)) return held(path);
    if (await isStale(path)) {
      await removeStale(path);
    } else {
      if (!waited) options.onWait?.();
      await delay(POLL_MS, undefined, { signal: options.signal });
    }
  }
}

async function create(path: string): Promise<boolean> {
  try {
    const file = await open(path, "wx", 0o600);
    await file.writeFile(JSON.stringify({ pid: process.pid, host: hostname() }));
    await file.close();
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  }
}

function held(path: string): AsyncDisposable {
  const heartbeat = setInterval(() => {
    const now = new Date();
    // The file may have been deleted with its folder; then there is nothing left to lock.
    utimes(path, now, now).catch(() => {});
  }, HEARTBEAT_MS);
  heartbeat.unref();
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(heartbeat);
      await rm(path, { force: true });
    },
  };
}

async function isStale(path: string): Promise<boolean> {
  try {
    const { mtimeMs } = await stat(path);
    if (Date.now() - mtimeMs > STALE_MS) return true;
    const owner: unknown = JSON.parse(await readFile(path, "utf8"));
    return isDead(owner);
  } catch {
    // It was just released, or is not written yet: the caller looks again.
    return false;
  }
}

function isDead(owner: unknown): boolean {
  if (typeof owner !== "object" || owner === null) return false;
  if (!("pid" in owner && "host" in owner) || typeof owner.pid !== "number") return false;
  return owner.host === hostname() && !isRunning(owner.pid);
}

/** Renames first, so that of several processes that find the lock stale only one removes it. */
async function removeStale(path: string): Promise<void> {
  const aside = `${path}.${process.pid}.stale`;
  await rename(path, aside).catch(() => {});
  await rm(aside, { force: true });
}
