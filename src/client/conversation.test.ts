import { describe, expect, test } from "bun:test";
import { formatElapsed } from "../lib/words.ts";
import {
  type Action,
  type Conversation,
  canStart,
  canStop,
  IDLE,
  reduce,
  shownAgent,
} from "./conversation.ts";
import type { Problem } from "./problems.ts";

const problem: Problem = { title: "t", detail: "d", remedy: "retry", tone: "error" };

function after(...actions: Action[]): Conversation {
  return actions.reduce(reduce, IDLE);
}

const start: Action = { type: "start", step: "token" };
const live: Action = { type: "live", sessionId: "s", startedAt: 1 };
const listening: Action = { type: "agent", state: "listening" };
const reconnecting: Action = { type: "room", state: "reconnecting" };

describe("phases", () => {
  test("a start goes through its steps to live", () => {
    expect(after(start)).toMatchObject({ phase: "connecting", step: "token" });
    expect(after(start, { type: "step", step: "room" }).step).toBe("room");
    expect(after(start, live)).toMatchObject({ phase: "live", sessionId: "s", step: null });
  });

  test("a second start while a conversation is running changes nothing", () => {
    for (const before of [[start], [start, live], [start, { type: "stop" } as const]]) {
      const state = after(...before);
      expect(reduce(state, start)).toBe(state);
      expect(canStart(state)).toBe(false);
    }
  });

  test("a stop while connecting leads back to idle, and what arrives later changes nothing", () => {
    const stopping = after(start, { type: "stop" });
    expect(stopping.phase).toBe("stopping");
    expect(reduce(stopping, live)).toBe(stopping);
    expect(canStop(stopping)).toBe(false);
    expect(reduce(stopping, { type: "stopped" })).toEqual(IDLE);
    expect(reduce(IDLE, live)).toBe(IDLE);
  });

  test("a failure ends it with its notice, and the next start clears that", () => {
    const failed = after(start, live, { type: "failed", problem });
    expect(failed).toEqual({ ...IDLE, phase: "failed", notice: problem });
    expect(reduce(failed, start)).toMatchObject({ phase: "connecting", notice: null });
  });

  test("an ordinary end is no failure", () => {
    const ended = after(start, live, { type: "failed", problem: { ...problem, tone: "info" } });
    expect(ended.phase).toBe("idle");
    expect(ended.notice?.tone).toBe("info");
  });

  test("a failure that comes after the stop is not shown", () => {
    const stopping = after(start, live, { type: "stop" });
    expect(reduce(stopping, { type: "failed", problem })).toBe(stopping);
  });

  test("the room reconnects only within a conversation", () => {
    expect(after(start, live, reconnecting).phase).toBe("reconnecting");
    expect(after(start, live, reconnecting, { type: "room", state: "reconnected" }).phase).toBe(
      "live",
    );
    expect(after(start, reconnecting).phase).toBe("connecting");
  });

  test("dismissing a notice leaves a running conversation alone", () => {
    const noticed = after(start, live, { type: "notice", problem });
    expect(reduce(noticed, { type: "dismiss" })).toMatchObject({ phase: "live", notice: null });
  });
});

describe("what is shown of the agent", () => {
  test("its state while everything is up", () => {
    expect(shownAgent(after(start, live, listening))).toBe("listening");
  });

  test.each<[string, Action]>([
    ["the room reconnects", reconnecting],
    ["the transcript's connection is down", { type: "socket", down: true }],
    ["the agent left the room", { type: "agent_present", present: false }],
    ["the conversation stops", { type: "stop" }],
    ["it failed", { type: "failed", problem }],
  ])("never a stale state when %s", (_when, action) => {
    expect(shownAgent(after(start, live, listening, action))).toBe("off");
  });

  test("its last state again when the connection is back", () => {
    const back = after(start, live, listening, { type: "socket", down: true });
    expect(shownAgent(reduce(back, { type: "socket", down: false }))).toBe("listening");
  });

  test("the person is not shown as speaking once the connection is down", () => {
    const speaking = after(start, live, { type: "user_speech", speaking: true });
    expect(speaking.userSpeaking).toBe(true);
    for (const action of [reconnecting, { type: "socket", down: true }, { type: "stop" }]) {
      expect(reduce(speaking, action as Action).userSpeaking).toBe(false);
    }
  });
});

test("elapsed time", () => {
  expect([-5, 7400, 754_000, 3_723_000].map(formatElapsed)).toEqual([
    "0:00",
    "0:07",
    "12:34",
    "1:02:03",
  ]);
});
