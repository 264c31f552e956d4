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

const IN_LANGUAGES: [language: string, kind: Kind, ...texts: string[]][] = [
  ["de", "unfinished", "Ich möchte einen Kaffee und", "weil.", "Ich gehe zum", "Ähm…"],
  ["de", "complete", "Das ist gut.", "Wirklich?"],
  ["de", "unclear", "Sand", "mach das Licht an", "Morgen früh"],
  ["es", "unfinished", "Quiero un café y", "porque", "Voy a la."],
  ["fr", "unfinished", "Je voudrais un café et", "parce que", "C'est l'", "euh"],
  ["it", "unfinished", "Vorrei un caffè e", "perché.", "vado alla"],
  ["pt", "unfinished", "Quero um café e", "porque", "vou para"],
  ["nl", "unfinished", "Ik wil koffie en", "omdat", "ik ga naar de"],
  ["ja", "unfinished", "私は", "コーヒーと", "えっと。", "東京から"],
  ["ja", "complete", "今日はいい天気です。", "本当？"],
  ["ja", "unclear", "こんにちは", "お願いします"],
  ["hi", "unfinished", "मुझे चाय और", "क्योंकि", "मैं दिल्ली में।"],
  ["hi", "complete", "यह अच्छा है।"],
  ["ar", "unfinished", "أريد قهوة و", "لأن", "أنا في", "أولا،"],
  ["ar", "complete", "كيف حالك؟"],
  ["xx", "unclear", "and"],
];

test.each(
  IN_LANGUAGES.flatMap(([language, kind, ...texts]) =>
    texts.map((text) => [language, text, kind] as const),
  ),
)("in the language %s, after %j the turn is %s", (language, text, kind) => {
  expect(silenceBeforeTurnEnds(text, language)).toBe(SILENCE_MS[kind]);
});

test.each([
  ["0 1 7 2", "unfinished"],
  ["My number is 0172.", "unfinished"],
  ["0172 555", "unfinished"],
  ["0. 1. 7. 2.", "unfinished"],
  ["(555) 123", "unfinished"],
  ["+49 171", "unfinished"],
  ["01-72", "unfinished"],
  ["٠١٧٢", "unfinished"],
  ["My number is zero one seven", "unfinished"],
  ["null eins sieben zwei.", "unfinished"],
  ["seven", "unclear"],
  ["42", "unclear"],
  ["It is 42.", "complete"],
  ["In 2024.", "complete"],
  ["At 12:30.", "complete"],
  ["It costs 3.50", "unclear"],
  ["I have 1,000,000.", "complete"],
  ["0 1 7 2 please.", "complete"],
] as const)("after the number %j the turn is %s", (text, kind) => {
  expect(silenceBeforeTurnEnds(text)).toBe(SILENCE_MS[kind]);
});

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
