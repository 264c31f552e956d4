import { describe, expect, test } from "bun:test";
import { sessionOf, temporaryDatabase } from "../../test/database.ts";
import { Failure } from "../errors.ts";
import { SqliteSessionStore } from "./session-store.ts";
import { SqliteTranscriptStore } from "./transcript-store.ts";

function open() {
  const temporary = temporaryDatabase();
  return {
    sessions: new SqliteSessionStore(temporary.database),
    transcripts: new SqliteTranscriptStore(temporary.database),
    [Symbol.dispose]: () => temporary[Symbol.dispose](),
  };
}

describe("sessions", () => {
  test("are found as they were stored, with counts", () => {
    using store = open();
    const session = sessionOf({
      room: "'; drop table sessions; --",
      system_prompt: "<script>\u202e\u0000é😀",
      language: "pt-BR",
      keyterms: ['"', "東京"],
    });
    store.sessions.insert(session);
    expect(store.sessions.find(session.id)).toEqual({
      ...{ ...session, segments: 0, turns: 0 },
      heard_language: null,
    });
    expect(store.sessions.find(Bun.randomUUIDv7())).toBeUndefined();
  });

  test("tell which language was heard most, the first of several", () => {
    using store = open();
    const session = sessionOf();
    store.sessions.insert(session);
    const hear = (seq: number, language?: string) => {
      const final = { segment_id: `s${seq}`, role: "user", identity: "ann", final: true } as const;
      store.transcripts.append({
        ...{ type: "transcript", seq, session_id: session.id, at: new Date(seq).toISOString() },
        data: { ...final, text: "hm", started_at: seq, ...(language ? { language } : {}) },
      });
      return store.sessions.page({ limit: 1 }).sessions[0]?.heard_language;
    };
    const heard = [hear(1), hear(2, "de"), hear(3, "en"), hear(4, "en"), hear(5)];
    expect(heard).toEqual([null, "de", "de", "en", "en"]);
  });

  test("change only in what is given", () => {
    using store = open();
    const session = sessionOf();
    store.sessions.insert(session);
    store.sessions.update(session.id, {});
    store.sessions.update(session.id, { state: undefined });
    store.sessions.update(session.id, { state: "ended", ended_at: 5, end_reason: "stopped" });
    store.sessions.update(Bun.randomUUIDv7(), { state: "ended" });
    expect(store.sessions.find(session.id)).toMatchObject({
      ...session,
      state: "ended",
      ended_at: 5,
      end_reason: "stopped",
    });
  });

  test("a room that a live session holds is a conflict; an ended one frees it", () => {
    using store = open();
    const first = sessionOf({ room: "den" });
    store.sessions.insert(first);
    const insert = () => store.sessions.insert(sessionOf({ room: "den", state: "starting" }));
    expect(insert).toThrow(Failure);
    expect(insert).toThrow('A session is already running in room "den"');
    store.sessions.update(first.id, { state: "ended" });
    insert();
  });

  test("go with everything that belongs to them", () => {
    using store = open();
    const session = sessionOf();
    store.sessions.insert(session);
    store.transcripts.append({
      type: "transcript",
      seq: 1,
      session_id: session.id,
      at: new Date(0).toISOString(),
      data: {
        segment_id: "s",
        role: "user",
        identity: "ann",
        text: "hi",
        final: true,
        started_at: 0,
      },
    });
    expect(store.sessions.find(session.id)?.segments).toBe(1);
    store.sessions.delete(session.id);
    expect(store.sessions.find(session.id)).toBeUndefined();
    expect(store.transcripts.segments(session.id)).toEqual([]);
    expect(store.transcripts.read(session.id, 0)).toEqual([]);
  });
});

describe("pages", () => {
  test("list every session once, newest first, also those of the same ms and new ones meanwhile", () => {
    using store = open();
    const stored = Array.from({ length: 23 }, (_, index) =>
      sessionOf({ started_at: 1000 + Math.floor(index / 4) }),
    );
    for (const session of stored) store.sessions.insert(session);
    const seen: string[] = [];
    let before: string | undefined;
    do {
      const page = store.sessions.page({ limit: 5, ...(before && { before }) });
      seen.push(...page.sessions.map((session) => session.id));
      store.sessions.insert(sessionOf({ started_at: 9999 }));
      before = page.next ?? undefined;
    } while (before);
    const expected = stored
      .toSorted((a, b) => b.started_at - a.started_at || (a.id < b.id ? 1 : -1))
      .map((session) => session.id);
    expect(seen).toEqual(expected);
  });

  test("an exact last page has no next; an empty store has one empty page", () => {
    using store = open();
    expect(store.sessions.page({ limit: 2 })).toEqual({ sessions: [], next: null });
    for (const _ of [1, 2]) store.sessions.insert(sessionOf());
    expect(store.sessions.page({ limit: 2 }).next).toBeNull();
  });

  test("a cursor that is none is invalid", () => {
    using store = open();
    for (const before of ["", "x", "' or 1=1", Buffer.from("1.2").toString("base64url"), "é😀"]) {
      expect(() => store.sessions.page({ limit: 2, before })).toThrow(Failure);
    }
  });

  test("live ones are listed apart, newest first", () => {
    using store = open();
    const [old, ended, young] = [
      sessionOf({ started_at: 1 }),
      sessionOf({ started_at: 2, state: "ended" }),
      sessionOf({ started_at: 3, state: "starting" }),
    ];
    for (const session of [old, ended, young]) store.sessions.insert(session);
    expect(store.sessions.live().map((session) => session.id)).toEqual([young.id, old.id]);
  });
});

test("sessions that a crash left open end with an event, also after the machine was renamed", () => {
  using store = open();
  const [mine, done, other] = [
    sessionOf({ state: "starting" }),
    sessionOf({ state: "ended", end_reason: "stopped", ended_at: 1 }),
    sessionOf({ node: "there" }),
  ];
  for (const session of [mine, done, other]) store.sessions.insert(session);
  const active = { type: "session", data: { state: "active" } } as const;
  store.transcripts.append({
    ...active,
    seq: 1,
    session_id: mine.id,
    at: new Date(1).toISOString(),
  });
  const events = store.sessions.endCrashed(7000);
  const ended = (id: string, seq: number) => ({
    type: "session",
    seq,
    session_id: id,
    at: "1970-01-01T00:00:07.000Z",
    data: { state: "ended", reason: "crashed" },
  });
  expect(events).toHaveLength(2);
  expect(store.transcripts.read(mine.id, 1)).toMatchObject([ended(mine.id, 2)]);
  expect(store.transcripts.read(other.id, 0)).toMatchObject([ended(other.id, 1)]);
  expect(store.sessions.find(mine.id)).toMatchObject({ ended_at: 7000, end_reason: "crashed" });
  expect(store.sessions.find(done.id)).toMatchObject({ end_reason: "stopped" });
  expect(store.sessions.find(other.id)).toMatchObject({ state: "ended", end_reason: "crashed" });
  expect(store.sessions.endCrashed(8000)).toEqual([]);
});
