// The thread of `db/maintenance.ts` in the executable: a thread has its own modules, so it registers
// SQLite's library for itself.
import { workerData } from "node:worker_threads";
import { registerNative } from "./natives.ts";

registerNative("sqlite.node", workerData.library);
await import("../db/maintenance-worker.ts");
