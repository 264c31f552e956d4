// A thread that keeps the database small beside the event loop, on which every voice depends: it
// has a connection of its own. Each step is one statement of a few ms, so that a write of the event
// loop never waits long, and the thread can be stopped at any time.
import { parentPort, workerData } from "node:worker_threads";
import Sqlite from "better-sqlite3";
import { messageOf } from "../errors.ts";

/** Interims that one step removes; it takes about 1 ms. */
const ROWS = 100;
/** Free pages that one step gives back to the disk. */
const PAGES = 64;
/** How long to wait between steps while there is work, else, and after an error, in ms. */
const BUSY_MS = 50;
const IDLE_MS = 1000;
const FAILED_MS = 10_000;

const handle = new Sqlite(workerData.path, { fileMustExist: true, timeout: 1000 });
handle.pragma("synchronous = NORMAL");
handle.pragma("wal_autocheckpoint = 0");
// Interims of versions that kept each as a row. The index has only these, oldest session first.
const removeInterims = handle.prepare(
  `DELETE FROM events WHERE rowid IN
     (SELECT rowid FROM events WHERE interim = 1 ORDER BY session_id LIMIT ${ROWS})`,
);
let timer = setTimeout(next, BUSY_MS);

parentPort?.on("message", () => {
  clearTimeout(timer);
  handle.close();
  parentPort?.postMessage("closed");
});

function next(): void {
  let pause = IDLE_MS;
  try {
    if (step()) pause = BUSY_MS;
  } catch (error) {
    parentPort?.postMessage({ error: messageOf(error) });
    pause = FAILED_MS;
  }
  timer = setTimeout(next, pause);
}

/** @returns whether there is more to do */
function step(): boolean {
  const { changes } = removeInterims.run();
  const canShrink = handle.pragma("auto_vacuum", { simple: true }) === 2;
  const hasFree = canShrink && Number(handle.pragma("freelist_count", { simple: true })) > 0;
  if (hasFree) handle.pragma(`incremental_vacuum(${PAGES})`);
  // Moves what was written from the log to the file, and syncs both.
  handle.pragma("wal_checkpoint(PASSIVE)");
  return changes > 0 || hasFree;
}
