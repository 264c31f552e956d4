import { Worker } from "node:worker_threads";
import type { Logger } from "pino";
import { messageOf } from "../errors.ts";
import { withDeadline } from "../lib/deadline.ts";
import type { Database } from "./open.ts";

/** How long after the start it begins, and how long a step may take at a stop, in ms. */
const DELAY_MS = 1000;
const STOP_MS = 1000;
/** Beyond so many pages (40 MiB) of log the event loop merges it itself, in case the thread fails. */
const MAX_LOG_PAGES = 10_000;

/** Where the code of the thread is. */
export interface MaintenanceModule {
  path: string | URL;
  /** SQLite's library, where the code does not find it by itself. */
  library?: string;
}

export interface MaintenanceOptions {
  database: Database;
  module: MaintenanceModule;
  logger: Pick<Logger, "warn">;
  delayMs?: number;
}

/**
 * Keeps a database small while Parley runs, on a thread of its own: merges the write-ahead log into
 * the file, removes the interims of earlier versions, and gives free space back to the disk.
 */
export class Maintenance implements AsyncDisposable {
  readonly #options: MaintenanceOptions;
  readonly #delay: ReturnType<typeof setTimeout>;
  readonly #warned = new Set<string>();
  #worker: Worker | undefined;

  constructor(options: MaintenanceOptions) {
    this.#options = options;
    this.#delay = setTimeout(() => this.#start(), options.delayMs ?? DELAY_MS);
    this.#delay.unref();
  }

  /** Stops the thread between two steps. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#delay);
    const worker = this.#worker;
    if (!worker) return;
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    worker.on("message", (message) => message === "closed" && resolve());
    worker.on("exit", () => resolve());
    worker.postMessage("close");
    await withDeadline(closed, STOP_MS, "a step of maintenance").catch(this.#warn);
    await worker.terminate();
  }

  #start(): void {
    const { database, module } = this.#options;
    const { path, library } = module;
    const worker = new Worker(path, { workerData: { path: database.handle.name, library } });
    worker.unref();
    worker.on("message", (message) => {
      if (message !== "closed") this.#warn(message.error);
    });
    worker.on("error", (error) => {
      this.#worker = undefined;
      database.handle.pragma("wal_autocheckpoint = 1000");
      this.#warn(error);
    });
    database.handle.pragma(`wal_autocheckpoint = ${MAX_LOG_PAGES}`);
    this.#worker = worker;
  }

  /** Logs each problem once: a disk that stays full is full at every step. */
  readonly #warn = (error: unknown): void => {
    const message = messageOf(error);
    if (this.#warned.has(message)) return;
    this.#warned.add(message);
    this.#options.logger.warn({ error: message }, "the database could not be maintained");
  };
}
