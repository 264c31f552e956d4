import { expect, test } from "bun:test";
import { statSync } from "node:fs";
import { insertSession, sessionOf, temporaryStores } from "../../test/database.ts";
import { eventually } from "../../test/e2e/wait.ts";
import { memoryLogger, transcriptEvent } from "../../test/event-log.ts";
import { sourceResources } from "../resources.ts";
import { Maintenance } from "./maintenance.ts";

const module = await sourceResources().database();

test("interims of earlier versions go while Parley writes, the file shrinks, and the rest stays", async () => {
  using store = temporaryStores();
  const { handle } = store.database;
  const [old, live] = [sessionOf({ state: "ended" }), sessionOf()];
  insertSession(store.database, old);
  store.log.begin(live);
  store.log.append(live.id, transcriptEvent("kept", { final: false }));
  const insert = handle.prepare("insert into events values (?, ?, 0, 'transcript', ?, ?)");
  const data = JSON.stringify(transcriptEvent("w".repeat(2000), { final: false }).data);
  handle.transaction(() => {
    for (let seq = 1; seq <= 2000; seq++) insert.run(old.id, seq, data, seq % 50 === 0 ? 0 : 1);
  })();
  handle.pragma("wal_checkpoint(TRUNCATE)");
  const { size } = statSync(store.path);
  const count = async (sql: string) => handle.prepare(`select count(*) from ${sql}`).pluck().get();
  const logger = memoryLogger();
  {
    await using _maintenance = new Maintenance({ ...store, module, logger, delayMs: 0 });
    await eventually(
      "the interims are gone",
      () => count("events where interim = 1"),
      (n) => n === 0,
    );
    store.log.append(live.id, transcriptEvent("said meanwhile", { segment_id: "s2" }));
    await eventually(
      "the file is smaller",
      async () => statSync(store.path).size,
      (now) => now < size / 10,
    );
  }
  expect(await count("events where interim = 0")).toBe(42);
  expect(store.transcripts.read(live.id, 1)).toMatchObject([
    { data: { text: "kept" } },
    { data: { text: "said meanwhile" } },
  ]);
  expect(handle.pragma("integrity_check", { simple: true })).toBe("ok");
  expect(logger.lines).toEqual([]);
});

test("the write-ahead log is merged by the thread and not by the event loop", async () => {
  using store = temporaryStores();
  const session = sessionOf();
  store.log.begin(session);
  await using _maintenance = new Maintenance({
    ...store,
    module,
    logger: memoryLogger(),
    delayMs: 0,
  });
  const inFile = async () => statSync(store.path).size;
  const before = await inFile();
  store.log.append(session.id, transcriptEvent("w".repeat(100_000)));
  await eventually("it is merged", inFile, (size) => size > before + 100_000);
});

test("a thread that cannot work is reported once, and the event loop merges the log again", async () => {
  using store = temporaryStores();
  const logger = memoryLogger();
  const broken = { path: new URL("no-such-worker.ts", import.meta.url) };
  await using _maintenance = new Maintenance({ ...store, module: broken, logger, delayMs: 0 });
  await eventually(
    "it is reported",
    async () => logger.lines.length,
    (lines) => lines > 0,
  );
  expect(logger.lines).toMatchObject([{ msg: "the database could not be maintained" }]);
  expect(store.database.handle.pragma("wal_autocheckpoint", { simple: true })).toBe(1000);
});
