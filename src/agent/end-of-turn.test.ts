import { expect, test } from "bun:test";
import { SILENCE_MS, silenceBeforeTurnEnds } from "./end-of-turn.ts";

type Kind = keyof typeof SILENCE_MS;

const TABLE: [kind: Kind, ...texts: string[]][] = [
  [
    "complete",
    "Turn on the light.",
    "What time is it?",
    "Stop!",
    "Yes. ",
    'He said "no."',
    "(Really?)",
  ],
  ["complete", "今日はいい天気です。", "本当？", "क्या?", "यह अच्छा है।", "كيف حالك؟", "¿Dónde está?"],
  ["unclear", "turn on the light", "yes", "seven", "Buen día", "ça", "Straße", "你好", "café"],
  [
    "unfinished",
    "I would like a coffee and",
    "because",
    "So, I went to the",
    "My name is",
    "Um",
    "ummm",
  ],
  [
    "unfinished",
    "first, ",
    "the list:",
    "one;",
    "I was thinking –",
    "well-",
    "I went to…",
    "I went...",
  ],
  // Recognisers close what they hear with a full stop, also in the middle of a sentence.
  ["unfinished", "I went to the.", "And.", "Hmm…", "UH.", "er"],
  // Only whole words count: these merely end like one of them.
  ["unclear", "sand", "pizza", "Lisa", "kilo", "email"],
  ["complete", "I like pizza.", "Call Lisa.", "Is that from you?"],
  ["unclear", "", " "],
];

test.each(TABLE.flatMap(([kind, ...texts]) => texts.map((text) => [text, kind] as const)))(
  "after %j the turn is %s",
  (text, kind) => {
    expect(silenceBeforeTurnEnds(text)).toBe(SILENCE_MS[kind]);
  },
);

test("the surer it is that a turn is over, the shorter the silence", () => {
  const { complete, unclear, unfinished } = SILENCE_MS;
  expect([unfinished, unclear, complete]).toEqual(
    [complete, unclear, unfinished].sort((a, b) => b - a),
  );
  expect(new Set(Object.values(SILENCE_MS)).size).toBe(3);
});

test("a very long text is judged at once", () => {
  const startedAt = performance.now();
  silenceBeforeTurnEnds("word ".repeat(200_000));
  silenceBeforeTurnEnds(`${"a".repeat(1_000_000)}.`);
  silenceBeforeTurnEnds(`${".".repeat(20_000)}x`);
  expect(performance.now() - startedAt).toBeLessThan(1000);
});
