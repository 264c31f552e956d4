import { describe, expect, test } from "bun:test";
import Sqlite from "better-sqlite3";
import { insertSession, sessionOf, temporaryStores } from "../../test/database.ts";
import { transcriptEvent } from "../../test/event-log.ts";
import { failureOf } from "../../test/failure-of.ts";
import type { SessionEvent } from "../domain/transcript.ts";

const ACTIVE: SessionEvent = { type: "session", data: { state: "active" } };

function speech(role: "user" | "agent", state: "started" | "stopped"): SessionEvent {
  return { type: "speech", data: { role, identity: role, state } };
}

/** The stores with one session that has begun. */
function begun() {
  const stores = temporaryStores();
  const session = sessionOf({ state: "starting" });
  stores.log.begin(session);
  const id = session.id;
  return {
    ...{ ...stores, session, id },
    append: (event: SessionEvent) => stores.log.append(id, event),
    /** The log as short as can be: what happened, in order. */
    story: () =>
      stores.transcripts.read(id, 0).map(({ type, data }) => {
        if (type === "session" || type === "speech") return `${type} ${data.state}`;
        return type === "transcript" ? `${data.final ? "final" : "interim"} ${data.text}` : type;
      }),
  };
}

describe("the log of a session", () => {
  test("numbers from 1 without gaps, and publishes what is stored", () => {
    using store = begun();
    store.append(ACTIVE);
    store.append(transcriptEvent("hi"));
    store.log.end(store.id, "stopped");
    expect(store.published.map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
    expect(store.transcripts.read(store.id, 0)).toEqual(store.published);
    const { state, ended_at, end_reason } = store.sessions.find(store.id) ?? {};
    expect([state, ended_at, end_reason]).toEqual(["ended", store.clock.now, "stopped"]);
  });

  test("changes only what is given", () => {
    using store = begun();
    store.log.change(store.id, {});
    store.log.change(store.id, { voice: undefined });
    store.log.change(store.id, { name: "Bea" });
    expect(store.sessions.find(store.id)).toMatchObject({ ...store.session, name: "Bea" });
  });

  test("a session that could not start is gone with everything; who listens learns of its end", () => {
    using store = begun();
    store.append(transcriptEvent("hi"));
    store.log.discard(store.id);
    expect(store.sessions.find(store.id)).toBeUndefined();
    expect(store.transcripts.segments(store.id)).toEqual([]);
    expect(store.transcripts.read(store.id, 0)).toEqual([]);
    expect(store.published.at(-1)).toMatchObject({ seq: 3, data: { reason: "agent_failed" } });
  });

  test("an event and what it completes are stored together or not at all", () => {
    using store = begun();
    store.database.handle.exec(
      "create trigger t before insert on segments begin select raise(abort,'no'); end",
    );
    expect(() => store.append(transcriptEvent("hi"))).toThrow("no");
    expect(store.transcripts.read(store.id, 1)).toEqual([]);
    expect(store.published).toHaveLength(1);
  });
});

describe("the rules of the log", () => {
  test("nothing is appended to a session that has ended or is unknown, and nothing is published", () => {
    using store = begun();
    store.log.end(store.id, "stopped");
    const before = store.published.length;
    const unknown = Bun.randomUUIDv7();
    for (const event of [transcriptEvent("late"), ACTIVE, speech("user", "started")]) {
      expect(() => store.append(event)).toThrow("has ended");
      expect(() => store.log.append(unknown, event)).toThrow("is unknown");
    }
    expect(store.published).toHaveLength(before);
    expect(store.transcripts.read(store.id, 0)).toHaveLength(before);
    expect(store.transcripts.read(unknown, 0)).toEqual([]);
  });

  test("a session ends once, whatever ends it again, and only by its end", () => {
    using store = begun();
    const end: SessionEvent = { type: "session", data: { state: "ended", reason: "idle" } };
    expect(() => store.append(end)).toThrow("ends by end()");
    store.log.end(store.id, "stopped");
    store.clock.now++;
    store.log.end(store.id, "crashed");
    store.log.end(Bun.randomUUIDv7(), "crashed");
    expect(store.story()).toEqual(["session starting", "session ended"]);
    expect(store.published).toHaveLength(2);
    const { end_reason, ended_at } = store.sessions.find(store.id) ?? {};
    expect([end_reason, ended_at]).toEqual(["stopped", store.clock.now - 1]);
  });

  test("an event that another program wrote keeps its number, and the next event gets its own", () => {
    using store = begun();
    const other = new Sqlite(store.path);
    other.exec(
      `insert into events values ('${store.id}', 2, 5, 'agent_state', '{"state":"thinking"}', 0)`,
    );
    other.close();
    expect(store.append(transcriptEvent("hi")).seq).toBe(3);
    expect(store.story()).toEqual(["session starting", "agent_state", "final hi"]);
  });

  test("an end that only the log has is taken over as it was", () => {
    using store = begun();
    store.log.end(store.id, "idle");
    store.database.handle.exec(
      "update sessions set state = 'active', ended_at = null, end_reason = null",
    );
    store.clock.now += 1000;
    for (const id of store.log.unended()) store.log.end(id, "crashed");
    const { state, end_reason, ended_at } = store.sessions.find(store.id) ?? {};
    expect([state, end_reason, ended_at]).toEqual(["ended", "idle", store.clock.now - 1000]);
    expect(store.story()).toEqual(["session starting", "session ended"]);
  });

  test("of a segment that is still spoken, only the newest interim is on disk", () => {
    using store = begun();
    for (const text of ["o", "on", "once"]) store.append(transcriptEvent(text, { final: false }));
    store.append(transcriptEvent("hm", { segment_id: "s2", final: false }));
    expect(store.published.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
    expect(store.story()).toEqual(["session starting", "interim once", "interim hm"]);
    store.append(transcriptEvent("Once."));
    expect(store.story()).toEqual(["session starting", "interim hm", "final Once."]);
    expect(store.transcripts.position(store.id).seq).toBe(6);
    const rows = store.database.handle.prepare("select count(*) from interims").pluck().get();
    expect(rows).toBe(1);
  });
});

test("a disk that refuses is named, nothing is stored or published, and it can be tried again", async () => {
  using store = begun();
  const writes = [
    () => store.log.begin(sessionOf()),
    () => store.append(transcriptEvent("hi")),
    () => store.log.change(store.id, { name: "Bea" }),
    () => store.log.end(store.id, "stopped"),
    () => store.log.discard(store.id),
  ];
  store.database.handle.pragma("query_only = 1");
  for (const write of writes) {
    const { kind, message } = await failureOf(Promise.try(write));
    expect([kind, message]).toEqual([
      "unavailable",
      `Parley cannot store conversations: ${store.path} cannot be written. Check its disk and its permissions.`,
    ]);
  }
  expect(store.published).toHaveLength(1);
  store.database.handle.pragma("query_only = 0");
  for (const write of writes) write();
});

test("an event and the end bear the time at which they happened, however late they are stored", () => {
  using store = begun();
  store.log.append(store.id, transcriptEvent("hi"), 5000);
  store.log.end(store.id, "idle", 7000);
  expect(store.published.slice(1).map(({ at }) => Date.parse(at))).toEqual([5000, 7000]);
  expect(store.sessions.find(store.id)?.ended_at).toBe(7000);
});

test("what was said and what became of a session is synced to the disk; the rest is not", () => {
  using store = begun();
  /** The level of the newest transaction, which nothing can change within it. */
  const synced = () => store.database.handle.pragma("synchronous", { simple: true }) === 2;
  const levels = [
    [() => store.append(ACTIVE), true],
    [() => store.append(transcriptEvent("hel", { final: false })), false],
    [() => store.append(transcriptEvent("hello")), true],
    [() => store.append(speech("user", "started")), false],
    [() => store.log.begin(sessionOf()), true],
    [() => store.log.change(store.id, { name: "Bea" }), false],
    [() => store.log.end(store.id, "stopped"), true],
  ] as const;
  for (const [write, durable] of levels) {
    write();
    expect([String(write), synced()]).toEqual([String(write), durable]);
  }
});

describe("what a crash left open", () => {
  test("is completed: what was said becomes final, who spoke has stopped, then it ends", () => {
    using store = begun();
    store.append(ACTIVE);
    store.append(speech("agent", "started"));
    store.append(transcriptEvent("Once upon", { segment_id: "a", role: "agent", final: false }));
    store.append(speech("user", "started"));
    store.append(transcriptEvent("wait", { segment_id: "u", final: false }));
    for (const id of store.log.unended()) store.log.end(id, "crashed");
    expect(store.story().slice(-5)).toEqual([
      ...["final Once upon", "final wait", "speech stopped", "speech stopped", "session ended"],
    ]);
    expect(store.transcripts.segments(store.id)).toMatchObject([
      { text: "Once upon", role: "agent", interrupted: true },
      { text: "wait", role: "user", interrupted: true },
    ]);
    expect(store.sessions.find(store.id)).toMatchObject({ end_reason: "crashed" });
    expect(store.log.unended()).toEqual([]);
  });

  test("is found whichever state and machine it had, and only that", () => {
    using store = begun();
    insertSession(store.database, sessionOf({ state: "ended", end_reason: "stopped" }));
    const other = sessionOf({ state: "ending" });
    insertSession(store.database, other);
    expect(store.log.unended().sort()).toEqual([store.id, other.id].sort());
  });
});
