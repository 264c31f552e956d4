import { expect, test } from "bun:test";
import { FailedTurns } from "./failed-turns.ts";
import type { AgentSignal } from "./normalize-events.ts";

function error(
  stage: "stt" | "llm" | "tts" | "livekit",
  recoverable = true,
  code = "x",
): AgentSignal {
  return { kind: "error", stage, code, message: "x", recoverable };
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

test("the same failure in the next turn is reported, but as no news", () => {
  expect(verdicts([speech, turn, error("llm"), speech, turn, error("llm")])).toEqual([
    "pass",
    "repeat",
  ]);
  expect(verdicts([typed, error("tts"), typed, error("tts")])).toEqual(["pass", "repeat"]);
  expect(verdicts([speech, error("stt"), speech, error("stt")])).toEqual(["pass", "repeat"]);
});

test("another failure of the stage is news, and so is the same after a turn that worked", () => {
  const other = error("llm", true, "y");
  expect(verdicts([typed, error("llm"), typed, other, typed, error("llm")])).toEqual([
    "pass",
    "pass",
    "pass",
  ]);
  const worked = [typed, speaking];
  expect(verdicts([typed, error("llm"), ...worked, typed, error("llm")])).toEqual(["pass", "pass"]);
});

test("a voice that fails after its first sentence, turn after turn, is news once", () => {
  const half = [typed, speaking, error("tts")];
  expect(verdicts([...half, ...half, ...half, ...half, ...half])).toEqual([
    ...["pass", "repeat", "repeat", "repeat", "repeat"],
  ]);
});

test("the fourth failed turn in a row is the last", () => {
  const failed = [typed, error("llm"), error("llm")];
  expect(verdicts([...failed, ...failed, ...failed, ...failed])).toEqual([
    ...["pass", "suppress", "repeat", "suppress", "repeat", "suppress"],
    ...["give_up", "suppress"],
  ]);
});

test("a successful turn in between resets the count", () => {
  const failed = [typed, error("llm")];
  const worked = [typed, speaking];
  const signals = [...failed, ...failed, ...failed, ...worked, ...failed];
  expect(verdicts(signals)).toEqual(["pass", "repeat", "repeat", "pass"]);
});

test("a recognised turn in between forgets the failures of speech recognition", () => {
  const failed = [speech, error("stt")];
  const recognised = [speech, turn];
  const all = [...failed, ...recognised];
  expect(verdicts([...all, ...all, ...all, ...all, ...all])).toEqual(Array(5).fill("pass"));
});

test("a model that is being loaded, or declines, never ends the session", () => {
  for (const code of ["provider_loading", "provider_declined"]) {
    const failed = [typed, error("llm", true, code)];
    const all = verdicts([...failed, ...failed, ...failed, ...failed, ...failed]);
    expect(all).toEqual(["pass", "repeat", "repeat", "repeat", "repeat"]);
  }
});

test("speech recognition itself says when it gives up", () => {
  expect(verdicts([speech, error("stt", false)])).toEqual(["give_up"]);
});

test("LiveKit's errors are not failed turns", () => {
  expect(verdicts([speech, error("livekit"), error("livekit")])).toEqual(["pass", "pass"]);
});
