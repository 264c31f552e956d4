import { expect, test } from "bun:test";
import { FailedTurns } from "./failed-turns.ts";
import type { AgentSignal } from "./normalize-events.ts";

function error(stage: "stt" | "llm" | "tts" | "livekit", recoverable = true): AgentSignal {
  return { kind: "error", stage, code: "x", message: "x", recoverable };
}
const speech: AgentSignal = { kind: "user_speech", speaking: true };
const silence: AgentSignal = { kind: "user_speech", speaking: false };
const turn: AgentSignal = { kind: "user_turn", text: "Hello." };
const typed: AgentSignal = { kind: "typed", text: "Hello." };
const speaking: AgentSignal = { kind: "agent_state", state: "speaking" };

function verdicts(signals: AgentSignal[]): string[] {
  const turns = new FailedTurns();
  return signals.flatMap((signal) => {
    const verdict = turns.judge(signal);
    return signal.kind === "error" ? [verdict] : [];
  });
}

test("a stage that fails many times in a turn is reported once, each stage separately", () => {
  const failures = [error("llm"), error("tts"), error("tts"), error("llm")];
  expect(verdicts([speech, turn, ...failures])).toEqual(["pass", "pass", "suppress", "suppress"]);
});

test("an answer that is prepared in a pause of a turn belongs to the turn", () => {
  const signals = [speech, silence, error("llm"), speech, silence, turn, error("llm")];
  expect(verdicts(signals)).toEqual(["pass", "suppress"]);
});

test("the next turn reports again, spoken or typed, also after a turn that was not recognised", () => {
  expect(verdicts([speech, turn, error("llm"), speech, turn, error("llm")])).toEqual([
    "pass",
    "pass",
  ]);
  expect(verdicts([typed, error("tts"), typed, error("tts")])).toEqual(["pass", "pass"]);
  expect(verdicts([speech, error("stt"), speech, error("stt")])).toEqual(["pass", "pass"]);
});

test("the fourth failed turn in a row is the last", () => {
  const failed = [typed, error("llm"), error("llm")];
  expect(verdicts([...failed, ...failed, ...failed, ...failed])).toEqual([
    ...["pass", "suppress", "pass", "suppress", "pass", "suppress"],
    ...["give_up", "suppress"],
  ]);
});

test("a successful turn in between resets the count", () => {
  const failed = [typed, error("llm")];
  const worked = [typed, speaking];
  const signals = [...failed, ...failed, ...failed, ...worked, ...failed];
  expect(verdicts(signals)).toEqual(["pass", "pass", "pass", "pass"]);
});

test("speech recognition itself says when it gives up", () => {
  expect(verdicts([speech, error("stt", false)])).toEqual(["give_up"]);
});

test("LiveKit's errors are not failed turns", () => {
  expect(verdicts([speech, error("livekit"), error("livekit")])).toEqual(["pass", "pass"]);
});
