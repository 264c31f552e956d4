import { describe, expect, test } from "bun:test";
import { llm } from "@livekit/agents";
import { conversationOf, messagesOf, RETRACTED, tokensOf, trimmed } from "./chat-messages.ts";

type Line = [role: "system" | "user" | "assistant", text: string, extra?: Record<string, unknown>];

function conversation(...lines: Line[]) {
  const history = llm.ChatContext.empty();
  for (const [role, content, extra = {}] of lines) history.addMessage({ role, content, extra });
  return conversationOf(history);
}

describe("the messages of a conversation", () => {
  test("begin with the instructions, which know the greeting, and then alternate", () => {
    const said = conversation(
      ["system", "Be brief."],
      ["assistant", "Hello Ada."],
      ["user", "Hi."],
      ["user", "Are you there?"],
      ["assistant", "Yes."],
      ["assistant", ""],
      ["assistant", "I am."],
      ["user", "Good."],
    );
    expect(messagesOf(said, true)).toEqual([
      {
        role: "system",
        content: "Be brief.\n\nYou began the conversation with these words: Hello Ada.",
      },
      { role: "user", content: "Hi.\nAre you there?" },
      { role: "assistant", content: "Yes.\nI am." },
      { role: "user", content: "Good." },
    ]);
  });

  test("put the instructions into the first turn of a model that takes none", () => {
    const said = conversation(["system", "Be brief."], ["user", "Hi."]);
    expect(messagesOf(said, false)).toEqual([{ role: "user", content: "Be brief.\n\nHi." }]);
  });

  test("end with the person, whoever spoke last", () => {
    const said = conversation(["user", "Hi."], ["assistant", "Yes?"]);
    expect(said.turns.map(({ role }) => role)).toEqual(["user", "assistant", "user"]);
  });

  test("hold no thoughts that were taken for the beginning of an answer", () => {
    const extra = { [RETRACTED]: "I should greet. " };
    const said = conversation(
      ["user", "Hi."],
      ["assistant", "I should greet. Hello.", extra],
      ["user", "Hm."],
      ["assistant", "I should", extra],
      ["user", "And?"],
    );
    expect(said.turns.map(({ content }) => content)).toEqual(["Hi.", "Hello.", "Hm.\nAnd?"]);
  });
});

describe("a conversation that is trimmed", () => {
  const lines = Array.from({ length: 21 }, (_, at): Line => {
    return [at % 2 === 0 ? "user" : "assistant", `Part ${at}: ${"word ".repeat(20)}`];
  });
  const whole = conversation(["system", "Be brief."], ...lines);

  test("keeps the instructions and the newest whole turns", () => {
    for (const budget of [100, 200, 300, 500]) {
      const { system, turns } = trimmed(whole, budget);
      expect(system).toBe("Be brief.");
      expect(turns[0]?.role).toBe("user");
      expect(turns).toEqual(whole.turns.slice(-turns.length));
      expect(tokensOf({ system, turns })).toBeLessThanOrEqual(budget);
    }
    expect(trimmed(whole, undefined)).toEqual(whole);
    expect(trimmed(whole, 100_000)).toEqual(whole);
  });

  test("always keeps what the person said last", () => {
    expect(trimmed(whole, 1).turns).toEqual(whole.turns.slice(-1));
  });

  test("counts a character of Chinese or Hindi as a token", () => {
    const of = (text: string) => tokensOf(conversation(["user", text]));
    expect(of("你".repeat(100))).toBeGreaterThan(100);
    expect(of("क".repeat(100))).toBeGreaterThan(100);
    expect(of("ä".repeat(100))).toBeLessThan(50);
  });
});
