import { describe, expect, test } from "bun:test";
import type { AgentSignal } from "./normalize-events.ts";
import { SpeechToSpeechSignals } from "./speech-to-speech-signals.ts";

function open() {
  const signals: AgentSignal[] = [];
  const order = new SpeechToSpeechSignals((signal) => signals.push(signal), 500);
  /** A turn of the user, up to the moment when the model begins to answer. */
  const userTurn = (itemId: string) => {
    order.onSpeechEnd();
    order.onUserTurn(itemId);
    order.onAnswering();
  };
  const answer = (text: string) => {
    order.take({ kind: "agent_state", state: "speaking" });
    order.take({ kind: "agent_text", text });
    order.take({ kind: "agent_turn", text, interrupted: false, latency: {} });
    order.take({ kind: "agent_state", state: "listening" });
  };
  const transcript = (itemId: string, text: string) => {
    order.take({ kind: "user_text", text, final: true });
    order.onTranscript(itemId, false);
  };
  return { signals, order, userTurn, answer, transcript };
}

/** Signals as `kind: text or state`. */
function brief(signals: readonly AgentSignal[]): string[] {
  return signals.map((signal) => {
    if ("text" in signal) return `${signal.kind}: ${signal.text}`;
    return "state" in signal ? `${signal.kind}: ${signal.state}` : signal.kind;
  });
}

const ANSWERED = ["agent_state: speaking", "agent_text: Yes.", "agent_turn: Yes."];

describe("the order of speech to speech", () => {
  test("an answer waits for the transcript of what it answers", () => {
    const { signals, userTurn, answer, transcript } = open();
    userTurn("a");
    answer("Yes.");
    expect(brief(signals)).toEqual(["agent_state: thinking"]);
    transcript("a", "Are you there?");
    expect(brief(signals)).toEqual([
      "agent_state: thinking",
      "user_turn: Are you there?",
      ...ANSWERED,
      "agent_state: listening",
    ]);
  });

  test("a transcript lets only its own answer pass", () => {
    const { signals, userTurn, answer, transcript } = open();
    userTurn("a");
    answer("Yes.");
    userTurn("b");
    answer("No.");
    transcript("a", "One.");
    expect(brief(signals)).not.toContain("agent_turn: No.");
    transcript("b", "Two.");
    expect(brief(signals).filter((line) => line.includes("_turn"))).toEqual([
      "user_turn: One.",
      "agent_turn: Yes.",
      "user_turn: Two.",
      "agent_turn: No.",
    ]);
  });

  test("a transcript that fails is told once, and holds nothing back", () => {
    const { signals, order, userTurn, answer } = open();
    for (const itemId of ["a", "b"]) {
      userTurn(itemId);
      answer("Yes.");
      order.onTranscript(itemId, true);
    }
    expect(signals.filter(({ kind }) => kind === "notice")).toHaveLength(1);
    expect(signals.filter(({ kind }) => kind === "agent_turn")).toHaveLength(2);
  });

  test("the end of the session lets everything pass", () => {
    const { signals, order, userTurn, answer } = open();
    userTurn("a");
    answer("Yes.");
    order.flush();
    expect(brief(signals).slice(-2)).toEqual(["agent_turn: Yes.", "agent_state: listening"]);
  });

  test("the wait for the voice is measured from the end of speech, and not for typed text", () => {
    const { signals, order, userTurn, answer, transcript } = open();
    userTurn("a");
    transcript("a", "One.");
    answer("Yes.");
    order.onAnswering();
    answer("No.");
    const [spoken, typed] = signals.filter((signal) => signal.kind === "agent_turn");
    expect(spoken?.latency.e2eLatency).toBeGreaterThanOrEqual(0.5);
    expect(typed?.latency).toEqual({});
  });

  test("a sound that is no words ends the thinking", () => {
    const { signals, userTurn, transcript } = open();
    userTurn("a");
    transcript("a", "");
    expect(brief(signals).at(-1)).toBe("agent_state: listening");
  });

  test("an answer that is spoken into ends the thinking", () => {
    const { signals, order, userTurn, transcript } = open();
    userTurn("a");
    transcript("a", "One.");
    order.take({ kind: "user_speech", speaking: true });
    expect(brief(signals)).toContain("agent_state: listening");
  });
});
