import { describe, expect, test } from "bun:test";
import { sessionOf, temporaryDatabase } from "../../test/database.ts";
import type { Envelope, SessionEvent, TranscriptData } from "../domain/transcript.ts";
import { SqliteSessionStore } from "./session-store.ts";
import { SqliteTranscriptStore } from "./transcript-store.ts";

function open() {
  const temporary = temporaryDatabase();
  const sessions = new SqliteSessionStore(temporary.database);
  const transcripts = new SqliteTranscriptStore(temporary.database);
  const session = sessionOf();
  sessions.insert(session);
  const envelope = (seq: number, event: SessionEvent): Envelope => ({
    ...event,
    seq,
    session_id: session.id,
    at: new Date(1_700_000_000_000 + seq).toISOString(),
  });
  return {
    sessions,
    transcripts,
    session,
    envelope,
    handle: temporary.database.handle,
    append: (seq: number, event: SessionEvent) => transcripts.append(envelope(seq, event)),
    [Symbol.dispose]: () => temporary[Symbol.dispose](),
  };
}

function said(text: string, more: Partial<TranscriptData> = {}): SessionEvent {
  const data = { segment_id: "s1", role: "user", identity: "ann", final: true, started_at: 5 };
  return { type: "transcript", data: { ...data, role: "user", text, ...more } };
}

function turn(turn_id: string, voice_to_voice_ms: number | null): SessionEvent {
  const parts = { endpointing_ms: 210.6, stt_ms: null, llm_ttft_ms: 1, tts_ttfb_ms: 2 };
  const tokens = { prompt_tokens: 10, completion_tokens: 3 };
  return { type: "metrics", data: { turn_id, ...parts, voice_to_voice_ms, ...tokens } };
}

const HOSTILE = ["<script>", "\u0000\u001b[2J\u202e", "'; drop table events; --", "w".repeat(1e6)];

describe("the event log", () => {
  test("gives back what it was given, of every type", () => {
    using store = open();
    const events: SessionEvent[] = [
      { type: "session", data: { state: "starting" } },
      { type: "agent_state", data: { state: "thinking" } },
      { type: "speech", data: { role: "user", identity: "ann", state: "started" } },
      said("hel", { final: false }),
      said("hello", { interrupted: true }),
      turn("t1", 500),
      { type: "error", data: { code: "c", message: "m", stage: "stt", recoverable: true } },
      { type: "session", data: { state: "ended", reason: "stopped" } },
      ...HOSTILE.map((text, index) => said(text, { segment_id: `h${index}` })),
    ];
    for (const [index, event] of events.entries()) store.append(index + 1, event);
    const expected = events.map((event, index) => store.envelope(index + 1, event));
    expect(store.transcripts.read(store.session.id, 0)).toEqual(expected);
    expect(store.transcripts.read(store.session.id, 5)).toEqual(expected.slice(5));
    expect(store.transcripts.read(store.session.id, 5, 2)).toEqual(expected.slice(5, 7));
    expect(store.transcripts.position(store.session.id)).toEqual({
      seq: events.length,
      ended: true,
    });
  });

  test("an unknown session is empty to read and refused to append to", () => {
    using store = open();
    const unknown = Bun.randomUUIDv7();
    expect(store.transcripts.read(unknown, 0)).toEqual([]);
    expect(store.transcripts.position(unknown)).toEqual({ seq: 0, ended: false });
    const stray = { ...store.envelope(1, said("hi")), session_id: unknown };
    expect(() => store.transcripts.append(stray)).toThrow("FOREIGN KEY");
  });

  test("the same seq again changes nothing", () => {
    using store = open();
    store.append(1, said("first"));
    store.append(1, said("second", { segment_id: "s2" }));
    expect(store.transcripts.read(store.session.id, 0)).toHaveLength(1);
    expect(store.transcripts.segments(store.session.id).map(({ text }) => text)).toEqual(["first"]);
  });

  test("an event and what it completes are stored together or not at all", () => {
    using store = open();
    store.handle.exec(
      "create trigger t before insert on segments begin select raise(abort,'no'); end",
    );
    expect(() => store.append(1, said("hi"))).toThrow("no");
    expect(store.transcripts.read(store.session.id, 0)).toEqual([]);
  });

  test("a row that makes no sense is an error, not a made-up event", () => {
    using store = open();
    store.append(1, said("hi"));
    store.handle.exec(`update events set data = '{"text":1}'`);
    expect(() => store.transcripts.read(store.session.id, 0)).toThrow("Event 1 of session");
  });
});

describe("segments and turns", () => {
  test("finals become segments in order; interims do not", () => {
    using store = open();
    store.append(1, said("hel", { final: false }));
    store.append(2, said("hello"));
    const agent = { segment_id: "s2", role: "agent", identity: "agent-1" } as const;
    store.append(3, said("hi th", { ...agent, started_at: 9, interrupted: true }));
    expect(store.transcripts.segments(store.session.id)).toEqual([
      {
        seq: 2,
        segment_id: "s1",
        role: "user",
        identity: "ann",
        text: "hello",
        started_at: 5,
        ended_at: 1_700_000_000_002,
        interrupted: false,
        language: null,
      },
      {
        seq: 3,
        ...agent,
        text: "hi th",
        started_at: 9,
        ended_at: 1_700_000_000_003,
        interrupted: true,
        language: null,
      },
    ]);
  });

  test("keep the language that was heard", () => {
    using store = open();
    store.append(1, said("hallo", { language: "de" }));
    expect(store.transcripts.segments(store.session.id)).toMatchObject([{ language: "de" }]);
    expect(store.transcripts.read(store.session.id, 0)).toMatchObject([
      { data: { language: "de" } },
    ]);
  });

  test("a second final of a segment replaces its text in place", () => {
    using store = open();
    store.append(1, said("one"));
    store.append(2, said("two", { segment_id: "s2" }));
    store.append(3, said("one, corrected"));
    const texts = store.transcripts.segments(store.session.id).map(({ seq, text }) => [seq, text]);
    expect(texts).toEqual([
      [1, "one, corrected"],
      [2, "two"],
    ]);
  });

  test("metrics become turns, in whole ms, one a turn", () => {
    using store = open();
    store.append(1, turn("t1", null));
    store.append(2, turn("t1", 480.4));
    store.append(3, turn("t2", 500));
    const rows = store.handle
      .prepare("select turn_id, endpointing_ms, stt_ms, voice_to_voice_ms from turns order by seq")
      .raw()
      .all();
    expect(rows).toEqual([
      ["t1", 211, null, 480],
      ["t2", 211, null, 500],
    ]);
    expect(store.sessions.find(store.session.id)?.turns).toBe(2);
  });
});

describe("compacting", () => {
  const HOUR = 3_600_000;
  test("prunes interims of sessions that ended over an hour ago, and nothing else", () => {
    using store = open();
    store.append(1, said("hel", { final: false }));
    store.append(2, said("hello"));
    store.append(3, { type: "session", data: { state: "ended" } });
    expect(store.transcripts.compact(Date.now())).toBe(0);
    store.sessions.update(store.session.id, { state: "ended", ended_at: 1000 });
    expect(store.transcripts.compact(1000 + HOUR)).toBe(0);
    expect(store.transcripts.compact(1001 + HOUR)).toBe(1);
    expect(store.transcripts.read(store.session.id, 0).map(({ seq }) => seq)).toEqual([2, 3]);
    expect(store.transcripts.position(store.session.id)).toEqual({ seq: 3, ended: true });
  });
});
