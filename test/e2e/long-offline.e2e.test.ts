import { expect, test } from "bun:test";
import { holdLongConversation } from "../offline/long-conversation.ts";

// `npm run test:offline` holds one of 60 turns.
test("a conversation that outgrows what the language model sees goes on", async () => {
  const [turns, contextTokens] = [4, 512];
  const conversation = await holdLongConversation({
    turns,
    contextTokens,
    wordsPerTurn: 140,
    spokenEvery: Number.POSITIVE_INFINITY,
  });
  console.log("answers began after, ms:", conversation.answerMs.map(Math.round));
  expect(conversation.typedWords).toBeGreaterThan(contextTokens);
  expect(conversation).toMatchObject({
    turns,
    answers: turns,
    endReason: "stopped",
    complaints: [],
  });
}, 300_000);
