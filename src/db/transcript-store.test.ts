import { describe, expect, test } from "bun:test";
import { sessionOf, temporaryStores } from "../../test/database.ts";
import { transcriptEvent } from "../../test/event-log.ts";
import type { SessionEvent } from "../domain/transcript.ts";

/** The stores with one session that has begun. */
function open() {
  const stores = temporaryStores();
  const session = sessionOf({ state: "starting" });
  stores.log.begin(session);
  return {
    ...stores,
    id: session.id,
    append: (event: SessionEvent) => stores.log.append(session.id, event),
  };
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
      { type: "session", data: { state: "active" } },
      { type: "agent_state", data: { state: "thinking" } },
      { type: "speech", data: { role: "user", identity: "ann", state: "started" } },
      transcriptEvent("hello", { interrupted: true, language: "de" }),
      turn("t1", 500),
      { type: "notice", data: { code: "c", message: "m", transient: true } },
      { type: "error", data: { code: "c", message: "m", stage: "stt", recoverable: true } },
      ...HOSTILE.map((text, index) => transcriptEvent(text, { segment_id: `h${index}` })),
    ];
    for (const event of events) store.append(event);
    expect(store.transcripts.read(store.id, 1)).toMatchObject(events);
    expect(store.transcripts.read(store.id, 0)).toEqual(store.published);
    expect(store.transcripts.read(store.id, 5)).toEqual(store.published.slice(5));
    expect(store.transcripts.read(store.id, 5, 2)).toEqual(store.published.slice(5, 7));
    const seq = store.published.length;
    expect(store.transcripts.position(store.id)).toEqual({ seq, ended: false });
    store.log.end(store.id, "stopped");
    expect(store.transcripts.position(store.id)).toEqual({ seq: seq + 2, ended: true });
  });

  test("an unknown session is empty", () => {
    using store = open();
    const unknown = Bun.randomUUIDv7();
    expect(store.transcripts.read(unknown, 0)).toEqual([]);
    expect(store.transcripts.segments(unknown)).toEqual([]);
    expect(store.transcripts.position(unknown)).toEqual({ seq: 0, ended: false });
  });

  test("a row that makes no sense is an error, not a made-up event", () => {
    using store = open();
    store.append(transcriptEvent("hi"));
    store.database.handle.exec(`update events set data = '{"text":1}'`);
    expect(() => store.transcripts.read(store.id, 0)).toThrow("Event 1 of session");
  });
});

describe("segments and turns", () => {
  test("finals become segments in order; interims do not", () => {
    using store = open();
    store.append(transcriptEvent("hel", { final: false, started_at: 5 }));
    store.append(transcriptEvent("hello", { started_at: 5 }));
    const agent = { segment_id: "s2", role: "agent", identity: "agent-1" } as const;
    store.clock.now++;
    store.append(transcriptEvent("hi th", { ...agent, started_at: 9, interrupted: true }));
    expect(store.transcripts.segments(store.id)).toEqual([
      {
        ...{
          seq: 3,
          segment_id: "s1",
          role: "user",
          identity: "ann",
          text: "hello",
          language: null,
        },
        ...{ started_at: 5, ended_at: 1_700_000_000_000, interrupted: false },
      },
      {
        ...{ ...agent, seq: 4, text: "hi th", language: null },
        ...{ started_at: 9, ended_at: 1_700_000_000_001, interrupted: true },
      },
    ]);
  });

  test("keep the language that was heard", () => {
    using store = open();
    store.append(transcriptEvent("hallo", { language: "de" }));
    expect(store.transcripts.segments(store.id)).toMatchObject([{ language: "de" }]);
    store.append(transcriptEvent("hello", { language: "en" }));
    expect(store.sessions.find(store.id)?.heard_language).toBe("en");
  });

  test("a second final of a segment replaces its text in place", () => {
    using store = open();
    store.append(transcriptEvent("one"));
    store.append(transcriptEvent("two", { segment_id: "s2" }));
    store.append(transcriptEvent("one, corrected"));
    const texts = store.transcripts.segments(store.id).map(({ seq, text }) => [seq, text]);
    expect(texts).toEqual([
      [2, "one, corrected"],
      [3, "two"],
    ]);
    expect(store.sessions.find(store.id)?.segments).toBe(2);
  });

  test("each measured turn is counted", () => {
    using store = open();
    for (const id of ["t1", "t2"]) store.append(turn(id, 480.4));
    expect(store.sessions.find(store.id)?.turns).toBe(2);
  });
});
