import { describe, expect, test } from "bun:test";
import { envelope, type SessionEvent } from "../domain/transcript.ts";
import {
  type AgentSignal,
  initialTranscriptState,
  type Latency,
  normalize,
  type TranscriptState,
} from "./normalize-events.ts";

/** Feeds signals to `normalize`, with a clock that ticks 10 ms a signal and ids that count. */
class Conversation {
  state: TranscriptState = initialTranscriptState;
  readonly events: SessionEvent[] = [];
  #count = 0;

  /** The events that these signals make. */
  signal(...signals: AgentSignal[]): SessionEvent[] {
    const fresh = signals.flatMap((signal) => {
      this.#count += 1;
      const context = { userIdentity: "ann", agentIdentity: "agent-1" };
      const { state, events } = normalize(this.state, signal, {
        ...context,
        now: this.#count * 10,
        newId: `id-${this.#count}`,
      });
      this.state = state;
      return events;
    });
    this.events.push(...fresh);
    return fresh;
  }
}

function talk(...signals: AgentSignal[]): SessionEvent[] {
  return new Conversation().signal(...signals);
}

const hear = (text: string, final = false): AgentSignal => ({ kind: "user_text", text, final });
const turn = (text: string): AgentSignal => ({ kind: "user_turn", text });
const item = (text: string, latency: Latency = {}): AgentSignal => ({
  kind: "user_item",
  text,
  latency,
});
const paced = (text: string): AgentSignal => ({ kind: "agent_text", text });
const answer = (text: string, interrupted = false, latency: Latency = {}): AgentSignal => ({
  kind: "agent_turn",
  text,
  interrupted,
  latency,
});
const agentIs = (state: "idle" | "listening" | "thinking" | "speaking"): AgentSignal => ({
  kind: "agent_state",
  state,
});

/** Transcripts as `role id: text` with `…` for an interim, `.` for a final, `!` if interrupted. */
function lines(events: SessionEvent[]): string[] {
  return events.flatMap(({ type, data }) => {
    if (type !== "transcript") return [];
    const mark = data.final ? (data.interrupted ? "!" : ".") : "…";
    return [`${data.role} ${data.segment_id}: ${data.text} ${mark}`];
  });
}

function states(events: SessionEvent[]): string[] {
  return events.flatMap(({ type, data }) => {
    if (type === "agent_state") return [data.state];
    return type === "speech" ? [`${data.role} ${data.state}`] : [];
  });
}

describe("the language that is heard", () => {
  const languages = (events: SessionEvent[]) =>
    events.flatMap(({ type, data }) => (type === "transcript" ? [data.language] : []));

  test("is reported with what the turn says from then on, and not with another turn", () => {
    const german = { ...hear("Guten Tag.", true), language: "de" } as const;
    const events = talk(hear("Guten"), german, turn("Guten Tag."), hear("Hi.", true), turn("Hi."));
    expect(languages(events)).toEqual([undefined, "de", "de", undefined, undefined]);
  });

  test("is what the recogniser said last, also when only the language is new", () => {
    const said = (text: string, language: string) => ({ ...hear(text, true), language });
    const interim = { ...hear("Hm.", false), language: "en" };
    expect(languages(talk(interim, said("Hm.", "de"), said("Ja.", "nl")))).toEqual([
      "en",
      "de",
      "nl",
    ]);
  });
});

describe("what the user says", () => {
  test("grows in interims and becomes final under one segment id", () => {
    const events = talk(
      hear("Turn"),
      hear("Turn on"),
      hear("Turn on the light", true),
      turn("Turn on the light."),
    );
    expect(lines(events)).toEqual([
      "user id-1: Turn …",
      "user id-1: Turn on …",
      "user id-1: Turn on the light …",
      "user id-1: Turn on the light. .",
    ]);
    expect(events.at(-1)).toEqual({
      type: "transcript",
      data: {
        segment_id: "id-1",
        role: "user",
        identity: "ann",
        text: "Turn on the light.",
        final: true,
        started_at: 10,
      },
    });
  });

  test("of several utterances is one segment with the text of all", () => {
    const events = talk(
      hear("I would like", true),
      hear("a coffee"),
      hear("a coffee", true),
      hear("please"),
      turn("I would like a coffee please"),
    );
    expect(lines(events)).toEqual([
      "user id-1: I would like …",
      "user id-1: I would like a coffee …",
      "user id-1: I would like a coffee please …",
      "user id-1: I would like a coffee please .",
    ]);
  });

  test("is not repeated when an interim brings nothing new", () => {
    expect(lines(talk(hear("one"), hear("one"), hear(" one "), hear("one", true)))).toEqual([
      "user id-1: one …",
    ]);
  });

  test("is ignored when it is blank", () => {
    expect(talk(hear(""), hear("  \n", true), turn("  "), item(""))).toEqual([]);
  });

  test("becomes final even when the turn is reported without its words", () => {
    expect(lines(talk(hear("hello there"), turn(" ")))).toEqual([
      "user id-1: hello there …",
      "user id-1: hello there .",
    ]);
  });
});

describe("a turn of the user", () => {
  test("starts a new segment after a final", () => {
    expect(lines(talk(hear("one"), turn("one"), hear("two"), turn("two")))).toEqual([
      "user id-1: one …",
      "user id-1: one .",
      "user id-3: two …",
      "user id-3: two .",
    ]);
  });

  test("is final with a turn that had no interim at all", () => {
    expect(lines(talk(turn(" Yes. ")))).toEqual(["user id-1: Yes. ."]);
  });

  test("is reported once when its message enters the conversation after the turn", () => {
    expect(lines(talk(hear("one"), turn("one"), item("one")))).toHaveLength(2);
  });

  test("becomes final with its message when no turn was reported", () => {
    expect(lines(talk(hear("one"), item("one two")))).toEqual([
      "user id-1: one …",
      "user id-1: one two .",
    ]);
  });

  test("goes on in its own segment when the message of the turn before comes late", () => {
    const events = talk(
      hear("one"),
      turn("one"),
      hear("two"),
      item("one"),
      hear("two three"),
      turn("two three"),
    );
    expect(lines(events).slice(2)).toEqual([
      "user id-3: two …",
      "user id-3: two three …",
      "user id-3: two three .",
    ]);
  });

  test("keeps markup and scripts unchanged: the page escapes them", () => {
    const text = '<script>alert("1")</script> \u202e';
    expect(lines(talk(turn(text)))).toEqual([`user id-1: ${text} .`]);
  });
});

describe("typed words", () => {
  test("are a final segment of their own, trimmed, while a spoken one stays open", () => {
    const events = talk(
      hear("well"),
      { kind: "typed", text: "  hello \n" },
      item("hello"),
      hear("well then"),
    );
    expect(lines(events)).toEqual([
      "user id-1: well …",
      "user id-2: hello .",
      "user id-1: well then …",
    ]);
  });

  test("that are blank are ignored", () => {
    expect(talk({ kind: "typed", text: " \n " }, { kind: "typed", text: "" })).toEqual([]);
  });

  test("carry no latency of an earlier spoken turn", () => {
    const events = talk(
      turn("spoken"),
      item("spoken", { endOfTurnDelay: 0.5 }),
      { kind: "typed", text: "typed" },
      answer("Yes."),
    );
    expect(events.at(-1)).toMatchObject({ type: "metrics", data: { endpointing_ms: null } });
  });
});

describe("what the agent says", () => {
  test("follows its voice and is final with the whole answer", () => {
    expect(
      lines(
        talk(
          agentIs("speaking"),
          paced("Hello"),
          paced(" "),
          paced("there."),
          answer("Hello there."),
        ),
      ),
    ).toEqual(["agent id-2: Hello …", "agent id-2: Hello there. …", "agent id-2: Hello there. ."]);
  });

  test("has only what was spoken when it is interrupted", () => {
    const events = talk(
      agentIs("speaking"),
      paced("One, "),
      paced("two"),
      answer("One, two, three, four.", true),
    );
    expect(lines(events).at(-1)).toBe("agent id-2: One, two !");
  });

  test("is what the library reports when that is less than was shown", () => {
    const events = talk(agentIs("speaking"), paced("One, two, three"), answer("One, two", true));
    expect(lines(events).at(-1)).toBe("agent id-2: One, two !");
  });

  test("is ignored when it was interrupted before its first word", () => {
    expect(talk(answer("One, two.", true))).toEqual([]);
  });

  test("becomes final even when the answer is reported without its words", () => {
    const said = [agentIs("speaking"), paced("One,")];
    expect(lines(talk(...said, answer("", true))).at(-1)).toBe("agent id-2: One, !");
    expect(lines(talk(...said, answer(" "))).at(-1)).toBe("agent id-2: One, .");
  });
});

describe("what the agent says, after its final", () => {
  test("does not come back with paced text that arrives after its final", () => {
    const events = talk(
      agentIs("speaking"),
      paced("One"),
      answer("One two."),
      paced(" two."),
      agentIs("listening"),
    );
    expect(lines(events)).toEqual(["agent id-2: One …", "agent id-2: One two. ."]);
  });

  test("is shown again with the next answer", () => {
    const events = talk(
      agentIs("speaking"),
      paced("One."),
      answer("One."),
      agentIs("listening"),
      agentIs("speaking"),
      paced("Two"),
      answer("Two."),
    );
    expect(lines(events)).toEqual([
      "agent id-2: One. …",
      "agent id-2: One. .",
      "agent id-6: Two …",
      "agent id-6: Two. .",
    ]);
  });

  test("stays in its segment when the user speaks meanwhile", () => {
    expect(
      lines(
        talk(
          agentIs("speaking"),
          paced("One"),
          hear("stop"),
          paced(" two"),
          turn("stop"),
          answer("One two", true),
        ),
      ),
    ).toEqual([
      "agent id-2: One …",
      "user id-3: stop …",
      "agent id-2: One two …",
      "user id-3: stop .",
      "agent id-2: One two !",
    ]);
  });

  test("does not grow while its voice is paused, and has not said what came then", () => {
    const paused = [agentIs("speaking"), paced("One"), agentIs("listening"), paced(" two")];
    expect(lines(talk(...paused, answer("One two three", true)))).toEqual([
      "agent id-2: One …",
      "agent id-2: One !",
    ]);
    expect(lines(talk(...paused, agentIs("speaking"), answer("One two three")))).toEqual([
      "agent id-2: One …",
      "agent id-2: One two …",
      "agent id-2: One two three .",
    ]);
  });
});

describe("indicators", () => {
  test("the user's speech starts and stops once", () => {
    const speech = (speaking: boolean): AgentSignal => ({ kind: "user_speech", speaking });
    const events = talk(speech(false), speech(true), speech(true), speech(false), speech(false));
    expect(states(events)).toEqual(["user started", "user stopped"]);
    expect(events[0]).toEqual({
      type: "speech",
      data: { role: "user", identity: "ann", state: "started" },
    });
  });

  test("the agent's voice starts with speaking and stops with what follows it", () => {
    const events = talk(
      agentIs("listening"),
      agentIs("thinking"),
      agentIs("speaking"),
      agentIs("listening"),
    );
    expect(states(events)).toEqual([
      "listening",
      "thinking",
      "speaking",
      "agent started",
      "listening",
      "agent stopped",
    ]);
    expect(events[3]).toEqual({
      type: "speech",
      data: { role: "agent", identity: "agent-1", state: "started" },
    });
  });

  test("an idle agent listens, and a state is reported once", () => {
    expect(states(talk(agentIs("idle"), agentIs("listening"), agentIs("idle")))).toEqual([
      "listening",
    ]);
    expect(talk({ kind: "agent_state", state: "initializing" })).toEqual([]);
  });
});

describe("metrics", () => {
  test("of a turn that interrupts an answer belong to the answer after it", () => {
    const events = talk(
      item("first", { endOfTurnDelay: 0.1 }),
      { kind: "tokens", prompt: 1, completion: 1 },
      agentIs("speaking"),
      paced("One"),
      { kind: "tokens", prompt: 2, completion: 2 },
      item("second", { endOfTurnDelay: 0.2 }),
      answer("One", true),
      answer("Two"),
    );
    const told = events.flatMap(({ type, data }) => (type === "metrics" ? [data] : []));
    expect(told).toMatchObject([
      { endpointing_ms: 100, prompt_tokens: 1 },
      { endpointing_ms: 200, prompt_tokens: 2 },
    ]);
  });

  test("join the user's turn, the answer and its tokens under the answer's segment", () => {
    const events = talk(
      turn("Hi"),
      item("Hi", { endOfTurnDelay: 0.33, transcriptionDelay: 0.1204 }),
      { kind: "tokens", prompt: 40, completion: 9 },
      paced("Hello"),
      answer("Hello.", false, { llmNodeTtft: 0.2, ttsNodeTtfb: 0.15, e2eLatency: 0.71 }),
    );
    expect(events.at(-1)).toEqual({
      type: "metrics",
      data: {
        turn_id: "id-4",
        endpointing_ms: 330,
        stt_ms: 120,
        llm_ttft_ms: 200,
        tts_ttfb_ms: 150,
        voice_to_voice_ms: 710,
        prompt_tokens: 40,
        completion_tokens: 9,
      },
    });
  });

  test("hold null for what was not measured, and nothing of the turn before", () => {
    const conversation = new Conversation();
    conversation.signal(
      item("Hi", { endOfTurnDelay: 0.3, transcriptionDelay: 0.1 }),
      { kind: "tokens", prompt: 1, completion: 2 },
      answer("One.", false, { e2eLatency: 1 }),
    );
    const [, metrics] = conversation.signal(answer("Two."));
    const { turn_id, ...parts } = { turn_id: "", ...metrics?.data };
    expect(turn_id).not.toBe("");
    expect([...new Set(Object.values(parts))]).toEqual([null]);
  });
});

test("an error keeps its stage, code and whether the session goes on", () => {
  const data = {
    stage: "llm",
    code: "provider_failed",
    message: "No.",
    recoverable: true,
  } as const;
  expect(talk({ kind: "error", ...data })).toEqual([{ type: "error", data }]);
});

test("normalize changes neither the state nor the signal it is given", () => {
  const state = Object.freeze({ ...initialTranscriptState, userLatency: Object.freeze({}) });
  const signal = Object.freeze(hear("one"));
  const context = { now: 1, newId: "a", userIdentity: "u", agentIdentity: "a" };
  expect(normalize(state, signal, context)).toEqual(normalize(state, signal, context));
  expect(state).toEqual(initialTranscriptState);
});

/** A small generator whose sequences depend on the seed alone (mulberry32). */
function random(seed: number): (below: number) => number {
  let at = seed;
  return (below) => {
    at = (at + 0x6d2b79f5) | 0;
    let mixed = Math.imul(at ^ (at >>> 15), 1 | at);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

function randomSignals(seed: number): AgentSignal[] {
  const below = random(seed);
  const text = () => ["", " ", "yes", "yes please", " no. ", "<b>"][below(6)] ?? "";
  const makers: (() => AgentSignal)[] = [
    () => ({ kind: "user_speech", speaking: below(2) === 0 }),
    () => agentIs((["idle", "listening", "thinking", "speaking"] as const)[below(4)] ?? "idle"),
    () => hear(text(), below(3) === 0),
    () => turn(text()),
    () => ({ kind: "typed", text: text() }),
    () => paced(text()),
    () => answer(text(), below(2) === 0, { e2eLatency: below(1000) / 1000 }),
    () => item(text(), { endOfTurnDelay: below(1000) / 1000 }),
    () => ({ kind: "tokens", prompt: below(100), completion: below(100) }),
    () => ({ kind: "error", stage: "stt", code: "c", message: "m", recoverable: true }),
  ];
  return Array.from({ length: 60 }, () => makers[below(makers.length)]?.() ?? turn(text()));
}

describe("whatever order signals come in (300 random sequences)", () => {
  const runs = Array.from({ length: 300 }, (_, seed) => talk(...randomSignals(seed)));
  const transcripts = runs.map((events) =>
    events.flatMap((event) => (event.type === "transcript" ? [event.data] : [])),
  );

  test("no segment gets a second final, or anything after its final", () => {
    let segments = 0;
    for (const said of transcripts) {
      const ids = new Set(said.map(({ segment_id }) => segment_id));
      segments += ids.size;
      for (const id of ids) {
        const finals = said.filter(({ segment_id }) => segment_id === id).map(({ final }) => final);
        if (finals.includes(true)) expect(finals.indexOf(true)).toBe(finals.length - 1);
      }
    }
    expect(segments).toBeGreaterThan(1000);
  });

  test("a segment has one speaker and one start, and no segment is blank", () => {
    for (const said of transcripts) {
      const heads = new Set(
        said.map(({ segment_id, role, started_at }) => `${segment_id} ${role} ${started_at}`),
      );
      expect(heads.size).toBe(new Set(said.map(({ segment_id }) => segment_id)).size);
      expect(said.filter(({ text }) => text !== text.trim() || text === "")).toEqual([]);
    }
  });

  test("each voice starts and stops in turn", () => {
    for (const events of runs) {
      for (const role of ["user", "agent"]) {
        const speech = events.flatMap(({ type, data }) =>
          type === "speech" && data.role === role ? [data.state] : [],
        );
        const inTurn = speech.every(
          (state, at) => state === (at % 2 === 0 ? "started" : "stopped"),
        );
        expect(inTurn).toBe(true);
      }
    }
  });

  test("no agent state is reported twice in a row", () => {
    for (const events of runs) {
      const told = events.flatMap(({ type, data }) => (type === "agent_state" ? [data.state] : []));
      expect(told.filter((state, at) => state === told[at - 1])).toEqual([]);
    }
  });

  test("turn ids are unique and name a segment of the agent", () => {
    for (const [at, events] of runs.entries()) {
      const turns = events.flatMap(({ type, data }) => (type === "metrics" ? [data.turn_id] : []));
      expect(new Set(turns).size).toBe(turns.length);
      const agentSegments = new Set(
        transcripts[at]?.flatMap(({ role, segment_id }) => (role === "agent" ? [segment_id] : [])),
      );
      expect(turns.filter((id) => !agentSegments.has(id))).toEqual([]);
    }
  });

  test("every event is one that clients can read", () => {
    for (const event of runs.flat()) {
      const whole = { ...event, seq: 1, session_id: "s", at: "2026-01-01T00:00:00.000Z" };
      expect(envelope.safeParse(whole).success).toBe(true);
    }
  });
});
