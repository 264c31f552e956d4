import { describe, expect, test } from "bun:test";
import { insertSession, sessionOf, temporaryStores } from "../../test/database.ts";
import { transcriptEvent } from "../../test/event-log.ts";
import { Failure } from "../errors.ts";

describe("sessions", () => {
  test("are found as they were stored, with counts", () => {
    using store = temporaryStores();
    const session = sessionOf({
      room: "'; drop table sessions; --",
      system_prompt: "<script>\u202e\u0000é😀",
      language: "pt-BR",
      keyterms: ['"', "東京"],
    });
    store.log.begin(session);
    expect(store.sessions.find(session.id)).toEqual({
      ...{ ...session, segments: 0, turns: 0 },
      heard_language: null,
    });
    expect(store.sessions.find(Bun.randomUUIDv7())).toBeUndefined();
  });

  test("tell which language was heard most, the first of several", () => {
    using store = temporaryStores();
    const session = sessionOf();
    store.log.begin(session);
    const hear = (segment_id: string, language?: string) => {
      store.log.append(
        session.id,
        transcriptEvent("hm", { segment_id, ...(language && { language }) }),
      );
      return store.sessions.page({ limit: 1 }).sessions[0]?.heard_language;
    };
    const heard = [hear("1"), hear("2", "de"), hear("3", "en"), hear("4", "en"), hear("5")];
    expect(heard).toEqual([null, "de", "de", "en", "en"]);
  });
});

describe("pages", () => {
  test("list every session once, newest first, also those of the same ms and new ones meanwhile", () => {
    using store = temporaryStores();
    const stored = Array.from({ length: 23 }, (_, index) =>
      sessionOf({ started_at: 1000 + Math.floor(index / 4) }),
    );
    for (const session of stored) insertSession(store.database, session);
    const seen: string[] = [];
    let before: string | undefined;
    do {
      const page = store.sessions.page({ limit: 5, ...(before && { before }) });
      seen.push(...page.sessions.map((session) => session.id));
      insertSession(store.database, sessionOf({ started_at: 9999 }));
      before = page.next ?? undefined;
    } while (before);
    const expected = stored
      .toSorted((a, b) => b.started_at - a.started_at || (a.id < b.id ? 1 : -1))
      .map((session) => session.id);
    expect(seen).toEqual(expected);
  });

  test("an exact last page has no next; an empty store has one empty page", () => {
    using store = temporaryStores();
    expect(store.sessions.page({ limit: 2 })).toEqual({ sessions: [], next: null });
    for (const _ of [1, 2]) insertSession(store.database, sessionOf());
    expect(store.sessions.page({ limit: 2 }).next).toBeNull();
  });

  test("a cursor that is none is invalid", () => {
    using store = temporaryStores();
    for (const before of ["", "x", "' or 1=1", Buffer.from("1.2").toString("base64url"), "é😀"]) {
      expect(() => store.sessions.page({ limit: 2, before })).toThrow(Failure);
    }
  });

  test("live ones are listed apart, newest first", () => {
    using store = temporaryStores();
    const [old, ended, young] = [
      sessionOf({ started_at: 1 }),
      sessionOf({ started_at: 2, state: "ended" }),
      sessionOf({ started_at: 3, state: "starting" }),
    ];
    for (const session of [old, ended, young]) insertSession(store.database, session);
    expect(store.sessions.live().map((session) => session.id)).toEqual([young.id, old.id]);
  });
});
