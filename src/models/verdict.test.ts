import { expect, test } from "bun:test";
import { verdictOn, voiceToVoiceMs } from "./verdict.ts";

const speeds = (promptTokensPerSecond: number, generationTokensPerSecond: number) => ({
  promptTokensPerSecond,
  generationTokensPerSecond,
});

test.each([
  [speeds(120, 20), "good", "It answers after 0.9 s; instructions of 300 tokens take 2.5 s once."],
  [speeds(40, 6), "usable", "It answers after 3.1 s; instructions of 300 tokens take 7.5 s once."],
  [speeds(5, 10), "too slow", "It answers after 7.4 s: choose a smaller one."],
  [speeds(500, 3), "too slow", "It writes more slowly than a voice speaks: choose a smaller one."],
  [{}, "unknown", "It has not been measured."],
])("a language model with %p is %s", (figures, grade, words) => {
  expect(verdictOn("llm", figures)).toEqual({ grade, words } as ReturnType<typeof verdictOn>);
});

test("a voice must be faster than its own speech, a recogniser much faster than the person's", () => {
  const grades = (stage: "stt" | "tts") =>
    [0.1, 0.45, 0.8, 1.2].map((realTimeFactor) => verdictOn(stage, { realTimeFactor }).grade);
  expect(grades("tts")).toEqual(["good", "good", "usable", "too slow"]);
  expect(grades("stt")).toEqual(["good", "usable", "too slow", "too slow"]);
  expect(verdictOn("stt", { realTimeFactor: 0.1 }).words).toBe(
    "It understands 3 seconds of speech in 0.3 s.",
  );
});

test("voice to voice adds up the stages, and is never shorter than the end of the turn", () => {
  const stt = { realTimeFactor: 0.1 };
  const tts = { realTimeFactor: 0.3, firstSoundMs: 150 };
  expect(voiceToVoiceMs({ stt, llm: speeds(60, 14), tts })).toBe(200 + 300 + 500 + 1000 + 150);
  expect(
    voiceToVoiceMs({
      stt: { realTimeFactor: 0.001 },
      llm: speeds(1e5, 1e5),
      tts: { firstSoundMs: 1 },
    }),
  ).toBe(300);
  expect(
    voiceToVoiceMs({ stt, llm: speeds(60, 14), tts: { realTimeFactor: 0.3 } }),
  ).toBeUndefined();
  expect(voiceToVoiceMs({ stt: undefined, llm: speeds(60, 14), tts })).toBeUndefined();
});
