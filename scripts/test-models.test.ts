import { expect, test } from "bun:test";
import { piperTokens } from "../src/models/piper-voice.ts";
import { moonshineTokens } from "./test-models/convert.ts";

test("Moonshine's tokens are lengths and bytes", () => {
  const long = "x".repeat(130);
  const tokenizer = Buffer.from([2, 104, 105, 0, 130, 1, ...Buffer.from(long)]);
  const lines = ["hi", "", long].map(
    (text, id) => `${Buffer.from(text).toString("base64")} ${id}\n`,
  );
  expect(moonshineTokens(tokenizer)).toBe(lines.join(""));
});

test("Piper's tokens are the symbols of its voice", () => {
  const voice = {
    audio: { sample_rate: 22_050 },
    espeak: { voice: "en-us" },
    num_speakers: 1,
    language: { name_english: "English" },
    phoneme_id_map: { _: [0], " ": [3], ə: [59] },
  };
  expect(piperTokens(voice)).toBe("_ 0\n  3\nə 59\n");
});
