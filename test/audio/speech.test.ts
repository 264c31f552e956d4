import { describe, expect, test } from "bun:test";
import { readWav, wav } from "../../src/lib/wav.ts";
import { audibleSpans, listen } from "./listen.ts";
import { resample } from "./resample.ts";
import { conversation, cough, loudness, speak, utter } from "./speech.ts";

describe("speech", () => {
  test("is audible, at the level of a microphone, and the same every time", () => {
    const pcm = speak("Hello, my name is Ada.");
    expect(loudness(pcm)).toBeWithin(-25, -17);
    expect(speak("Hello, my name is Ada.")).toEqual(pcm);
    expect(speak("Hello, my name is Bob.")).not.toEqual(pcm);
    expect(pcm.length / 24_000).toBeWithin(1, 3);
  });

  test("tells where each word begins, and joins words that are spoken as one", () => {
    const { words, pcm } = utter("The weather of the day, please.");
    expect(words.map(({ text }) => text)).toEqual(["The", "weather", "of the", "day,", "please."]);
    const starts = words.map(({ start }) => start);
    expect(starts).toEqual([...starts].sort((a, b) => a - b));
    expect(starts.at(-1)).toBeLessThan(pcm.length);
  });

  test("has no silence at its ends, and none at all for what cannot be spoken", () => {
    const [span] = listen(speak("Stop."), 24_000);
    expect(span?.startMs).toBeLessThan(20);
    expect(speak("")).toHaveLength(0);
  });

  test("differs by voice and speed, and an unknown voice is an error", () => {
    expect(speak("Hello", { voice: "en-us+f3" })).not.toEqual(speak("Hello"));
    const slow = speak("Hello there", { wordsPerMinute: 120 });
    expect(slow.length).toBeGreaterThan(speak("Hello there", { wordsPerMinute: 200 }).length);
    expect(() => speak("Hello", { voice: "klingon-x" })).toThrow("voice does not exist");
  });
});

describe("a conversation", () => {
  test("is a 48 kHz mono file whose timeline tells what is audible when", async () => {
    const made = conversation([
      { say: "Tell me a story." },
      { pause: 800 },
      { cough: 250 },
      { pause: 1500 },
      { say: "Stop." },
    ]);
    const { pcm, rate } = readWav(await Bun.file(made.path).bytes());
    expect(rate).toBe(48_000);
    expect(made.durationMs).toBeCloseTo((pcm.length / rate) * 1000, 3);
    expect(made.timeline.map(({ kind, text }) => [kind, text])).toEqual([
      ["speech", "Tell me a story."],
      ["cough", ""],
      ["speech", "Stop."],
    ]);
    const spans = listen(pcm, rate, { bridgeMs: 400 });
    for (const [index, heard] of made.timeline.entries()) {
      expect(Math.abs((spans[index]?.startMs ?? 0) - heard.startMs)).toBeLessThan(20);
      expect(Math.abs((spans[index]?.endMs ?? 0) - heard.endMs)).toBeLessThan(20);
    }
    expect(made.timeline[0]?.startMs).toBeWithin(2999, 3021);
  });

  test("has a faint noise floor and never digital silence", async () => {
    const { path } = conversation([{ say: "Hi." }], { leadMs: 500, trailMs: 500 });
    const { pcm, rate } = readWav(await Bun.file(path).bytes());
    expect(loudness(pcm.subarray(0, rate / 2))).toBeWithin(-80, -74);
  });

  test("has the same file for the same content", () => {
    const first = conversation([{ say: "Hi." }]);
    expect(conversation([{ say: "Hi." }]).path).toBe(first.path);
    expect(conversation([{ say: "Ho." }]).path).not.toBe(first.path);
  });
});

describe("WAV files", () => {
  test("come back as they were written", () => {
    const pcm = cough(100, 16_000);
    expect(readWav(wav(pcm, 16_000))).toEqual({ pcm, rate: 16_000 });
  });

  test("may be streamed with an unknown length, or have two channels", () => {
    const bytes = wav(Int16Array.of(100, 300, -100, -300), 8000);
    const view = new DataView(bytes.buffer);
    view.setUint32(40, 0xffff_ffff, true);
    view.setUint16(22, 2, true);
    expect([...readWav(bytes).pcm]).toEqual([200, -200]);
  });

  test("are refused when they are something else", () => {
    expect(() => readWav(new Uint8Array(100))).toThrow("not a WAV file");
    expect(() => readWav(wav(new Int16Array(4), 8000).subarray(0, 36))).toThrow("no data");
  });
});

describe("resampling", () => {
  test("keeps a tone and removes what the lower rate cannot carry", () => {
    const tone = (hertz: number) =>
      Int16Array.from(
        { length: 4800 },
        (_, i) => 10_000 * Math.sin((i * hertz * 2 * Math.PI) / 48_000),
      );
    expect(loudness(resample(tone(1000), 48_000, 16_000))).toBeWithin(-13.6, -13);
    expect(loudness(resample(tone(12_000), 48_000, 16_000).subarray(50, -50))).toBeLessThan(-60);
  });
});

describe("listening", () => {
  test("finds spans, bridges short gaps and leaves out clicks", () => {
    const levels = Array.from({ length: 200 }, (_, i) => {
      const loud = (i >= 10 && i < 30) || (i >= 40 && i < 60) || i === 150;
      return { atMs: 5000 + i * 10, rms: loud ? 0.1 : 0.0001 };
    });
    expect(audibleSpans(levels)).toEqual([{ startMs: 5100, endMs: 5600 }]);
    expect(audibleSpans(levels, { bridgeMs: 50 })).toHaveLength(2);
    expect(audibleSpans([])).toEqual([]);
  });
});
