import { expect, test } from "bun:test";
import { join } from "node:path";
import { MIGRATIONS, temporaryFolder } from "../../test/database.ts";
import type { SessionEvent } from "../domain/transcript.ts";
import { type Database, openDatabase } from "./open.ts";
import { SqliteSessionLog } from "./session-log.ts";
import { SqliteSessionStore } from "./session-store.ts";
import { SqliteTranscriptStore } from "./transcript-store.ts";

// Databases of earlier versions, whose sessions and events could disagree.

type Row = [seq: number, event: SessionEvent];

const word = (segment_id: string, text: string, final: boolean, role = "agent"): SessionEvent => ({
  type: "transcript",
  data: {
    segment_id,
    role: role === "user" ? "user" : "agent",
    identity: "x",
    text,
    final,
    started_at: 4.6,
  },
});
const state = (now: "active" | "ended", reason?: "stopped"): SessionEvent => ({
  type: "session",
  data: { state: now, ...(reason && { reason }) },
});

/** Opens a database of the second version with one session, after it was brought up to date. */
function upgraded(path: string, session: Record<string, unknown>, rows: readonly Row[]) {
  const id = Bun.randomUUIDv7();
  {
    using old = openDatabase(path, MIGRATIONS.slice(0, 2));
    insert(old, "sessions", {
      ...{ id, room: "den", system_prompt: "Be brief.", voice: "alloy", stt_model: "s" },
      ...{ llm_model: "l", tts_model: "t", started_at: 1, node: "here", ...session },
    });
    for (const [seq, { type, data }] of rows) {
      const interim = type === "transcript" && !data.final;
      const row = { session_id: id, seq, at: 100 + seq, type };
      insert(old, "events", { ...row, data: JSON.stringify(data), interim: Number(interim) });
      if (type !== "transcript" || interim) continue;
      const { segment_id, role, identity, text } = data;
      const final = { session_id: id, seq, segment_id, role, identity, text, interrupted: 0 };
      insert(old, "segments", { ...final, started_at: 4, ended_at: 100 + seq, language: "de" });
    }
    insert(old, "turns", { session_id: id, seq: 1, turn_id: "t", at: 1 });
  }
  const database = openDatabase(path, MIGRATIONS);
  const transcripts = new SqliteTranscriptStore(database);
  return {
    ...{ id, database, transcripts },
    session: () => new SqliteSessionStore(database).find(id),
    texts: () => transcripts.segments(id).map(({ seq, text }) => `${seq} ${text}`),
    last: () => transcripts.read(id, 0).at(-1),
    [Symbol.dispose]: () => database.close(),
  };
}

function insert({ handle }: Database, table: string, row: Record<string, unknown>): void {
  const names = Object.keys(row);
  const values = names.map((name) => `@${name}`);
  handle.prepare(`insert into ${table} (${names}) values (${values})`).run(row);
}

const SAID: Row[] = [
  [1, state("active")],
  [2, word("a", "Hel", false)],
  [3, word("a", "Hello.", true)],
  [4, word("b", "Once", false)],
  [5, word("c", "wait", false, "user")],
  [6, word("b", "Once upon a time", false)],
];
const ended = { state: "ended", ended_at: 50, end_reason: "stopped" };

test("a conversation keeps what it was, and counts once what lists counted each time", () => {
  using folder = temporaryFolder();
  const rows: Row[] = [...SAID.slice(0, 3), [4, state("ended", "stopped")]];
  using after = upgraded(join(folder.path, "parley.db"), ended, rows);
  const counts = { segments: 1, turns: 1, heard_language: "de", keyterms: [] };
  expect(after.session()).toMatchObject({ ...ended, ...counts, system_prompt: "Be brief." });
  expect(after.texts()).toEqual(["3 Hello."]);
  expect(after.transcripts.position(after.id)).toEqual({ seq: 4, ended: true });
  expect(after.database.handle.pragma("foreign_key_check")).toEqual([]);
});

test("words that a crash had left half spoken become final where they were", () => {
  using folder = temporaryFolder();
  const crashed = { ...ended, end_reason: "crashed" };
  const rows: Row[] = [...SAID, [7, state("ended")]];
  using after = upgraded(join(folder.path, "parley.db"), crashed, rows);
  expect(after.texts()).toEqual(["3 Hello.", "5 wait", "6 Once upon a time"]);
  expect(after.transcripts.segments(after.id).at(-1)).toMatchObject({
    ...{ role: "agent", interrupted: true, started_at: 5, ended_at: 106 },
  });
  const finals = after.transcripts.snapshot(after.id).filter(({ type }) => type === "transcript");
  expect(finals).toMatchObject([
    { seq: 3, data: { final: true } },
    { seq: 5, data: { final: true, interrupted: true } },
    { seq: 6, data: { final: true, interrupted: true } },
  ]);
  expect(after.session()?.segments).toBe(3);
});

test("of a conversation that ran at the crash, they become final at the start", () => {
  using folder = temporaryFolder();
  using after = upgraded(join(folder.path, "parley.db"), { state: "active" }, SAID);
  const log = new SqliteSessionLog({ database: after.database, publish: () => {} });
  for (const id of log.unended()) log.end(id, "crashed");
  expect(
    after.transcripts
      .segments(after.id)
      .map(({ text }) => text)
      .sort(),
  ).toEqual(["Hello.", "Once upon a time", "wait"]);
  expect(after.last()).toMatchObject({ seq: 9, data: { state: "ended", reason: "crashed" } });
});

test("an end that only the record had is in the log, and one that only the log had in the record", () => {
  for (const [session, rows, reason] of [
    [ended, SAID.slice(0, 3), "stopped"],
    [{ ...ended, end_reason: null }, SAID.slice(0, 3), undefined],
    [{ state: "active" }, [...SAID.slice(0, 3), [4, state("ended", "stopped")] as Row], "stopped"],
  ] as const) {
    using folder = temporaryFolder();
    using after = upgraded(join(folder.path, "parley.db"), session, rows);
    const data = { state: "ended", ...(reason && { reason }) };
    expect(after.last()).toMatchObject({ seq: 4, type: "session", data });
    expect(after.session()).toMatchObject({ state: "ended", end_reason: reason ?? null });
    expect(after.transcripts.position(after.id)).toEqual({ seq: 4, ended: true });
  }
});

test("rows of sessions that somebody deleted by hand do not keep Parley from starting", () => {
  using folder = temporaryFolder();
  const path = join(folder.path, "parley.db");
  {
    using old = openDatabase(path, MIGRATIONS.slice(0, 2));
    old.handle.pragma("foreign_keys = off");
    const data = JSON.stringify(state("active").data);
    insert(old, "events", { session_id: "gone", seq: 1, at: 1, type: "session", data, interim: 0 });
  }
  using database = openDatabase(path, MIGRATIONS);
  expect(database.handle.prepare("select * from events").all()).toEqual([]);
});
