import { statSync } from "node:fs";
import { z } from "zod";
import { Maintenance } from "../src/db/maintenance.ts";
import { type Database, openDatabase } from "../src/db/open.ts";
import type { SqliteSessionLog } from "../src/db/session-log.ts";
import { sourceResources } from "../src/resources.ts";
import { MIGRATIONS, sessionOf, temporaryFolder } from "../test/database.ts";
import { memoryLogger, transcriptEvent } from "../test/event-log.ts";
import { json, openHttp } from "../test/http-harness.ts";
import { SESSIONS, seedHistory } from "./seed-history.ts";

/** How many sessions are newer than the deep page. */
const DEPTH = 90_000;
const CONVERSATIONS = 10;
/** Each conversation stores an interim so often, in ms, and a final after so many. */
const INTERIM_MS = 100;
const FINAL_EVERY = 20;
/** How often it is checked that the event loop is free, in ms. */
const CHECK_MS = 1;

export interface HistoryFigures {
  seedSeconds: number;
  sizeMiB: number;
  /** What was measured, and how long it took each time, in ms. */
  rows: [name: string, samples: number[]][];
  /** The longest time for which the event loop was not free, in ms. */
  longestStall: number;
  /** Interims of earlier versions that were removed meanwhile. */
  removed: number;
}

/**
 * Measures what a long history costs: opening, each request, and the longest stall of the event
 * loop, while ten conversations are stored and interims of earlier versions are removed.
 */
export async function measureHistory(samples: number): Promise<HistoryFigures> {
  using folder = temporaryFolder();
  const path = `${folder.path}/parley.db`;
  const seeding = performance.now();
  seedHistory(path);
  const seedSeconds = (performance.now() - seeding) / 1000;
  const sizeMiB = statSync(path).size / 2 ** 20;
  const open = () => openDatabase(path, MIGRATIONS);
  const opening = await repeat(samples, () => open().close());
  using database = open();
  await using http = openHttp({ database });
  const interims = count(database, "events where interim = 1");
  await using _maintenance = new Maintenance({
    ...{ database, logger: memoryLogger(), delayMs: 0 },
    module: await sourceResources().database(),
  });
  using _load = new Load(http.log);
  const stalls = new StallWatch();
  const rows: HistoryFigures["rows"] = [["open the database", opening]];
  for (const [name, request] of requests(http, database)) {
    rows.push([name, await repeat(samples, request)]);
  }
  const longestStall = stalls.stop();
  const removed = interims - count(database, "events where interim = 1");
  return { seedSeconds, sizeMiB, rows, longestStall, removed };
}

type Http = ReturnType<typeof openHttp>;

function requests(http: Http, database: Database): [string, () => unknown][] {
  const get = (address: string) => async () => {
    const response = await http.guest(address);
    const text = await response.text();
    if (!response.ok) throw new Error(`${address}: ${response.status} ${text}`);
  };
  const post = async () => {
    const response = await http.guest("/session", json({ room: crypto.randomUUID() }));
    const { session_id } = z.object({ session_id: z.string() }).parse(await response.json());
    http.log.end(session_id, "stopped");
  };
  const deep = sessionAt(database, DEPTH);
  const cursor = Buffer.from(`${deep.started_at}.${deep.id}`).toString("base64url");
  const { id } = sessionAt(database, SESSIONS / 2);
  return [
    ["POST /session without an agent, and its end", post],
    ["GET /session", get("/session")],
    ["the first page of the history", get("/history")],
    [`the page after ${DEPTH} sessions`, get(`/history?before=${cursor}`)],
    ["GET /session/:id", get(`/session/${id}`)],
    ["GET /transcripts/:id", get(`/transcripts/${id}`)],
    ["what a client without after is sent", () => http.transcripts.snapshot(id)],
  ];
}

function sessionAt({ handle }: Database, depth: number) {
  const row = handle
    .prepare(
      "SELECT id, started_at FROM sessions ORDER BY started_at DESC, id DESC LIMIT 1 OFFSET ?",
    )
    .get(depth);
  return z.object({ id: z.string(), started_at: z.number() }).parse(row);
}

function count({ handle }: Database, what: string): number {
  return Number(handle.prepare(`SELECT count(*) FROM ${what}`).pluck().get());
}

/** How long `work` takes, `times` times, in ms. */
async function repeat(times: number, work: () => unknown): Promise<number[]> {
  const took: number[] = [];
  for (let index = 0; index < times; index++) {
    // The ten conversations and the check of the event loop get their turn in between.
    await Bun.sleep(5);
    const started = performance.now();
    await work();
    took.push(performance.now() - started);
  }
  return took;
}

/** Ten conversations that speak without a pause. */
class Load implements Disposable {
  readonly #timers: ReturnType<typeof setInterval>[] = [];

  constructor(log: SqliteSessionLog) {
    for (let index = 0; index < CONVERSATIONS; index++) {
      const session = sessionOf({ started_at: Date.now() });
      log.begin(session);
      let words = 0;
      const speak = () => {
        const segment_id = `s${Math.floor(words++ / FINAL_EVERY)}`;
        const final = words % FINAL_EVERY === 0;
        const text = "one word after the other ".repeat((words % FINAL_EVERY) + 1);
        log.append(session.id, transcriptEvent(text, { segment_id, final }));
      };
      this.#timers.push(setInterval(speak, INTERIM_MS));
    }
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearInterval(timer);
  }
}

/** Notes the longest time for which a timer was late. */
class StallWatch {
  #longest = 0;
  #due = performance.now() + CHECK_MS;
  readonly #timer = setInterval(() => {
    const now = performance.now();
    this.#longest = Math.max(this.#longest, now - this.#due);
    this.#due = now + CHECK_MS;
  }, CHECK_MS);

  /** @returns ms */
  stop(): number {
    clearInterval(this.#timer);
    return this.#longest;
  }
}
