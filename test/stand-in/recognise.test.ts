import { describe, expect, test } from "bun:test";
import { throughOpus } from "../audio/opus.ts";
import { cough, speak } from "../audio/speech.ts";
import { Vocabulary } from "./recognise.ts";

const PHRASES = [
  "My name is Ada.",
  "What is my name?",
  "Tell me a long story.",
  "Stop, please.",
  "What is the capital of France?",
  "Hello there.",
  "How are you today?",
  "Yes.",
  "No.",
  "The weather is nice in Berlin.",
  "I would like to book a table for two people at seven.",
  "Please turn off the lights in the kitchen.",
  "My favourite colour is green.",
  "What is my favourite colour?",
  "Wait a moment.",
  "Thank you very much, goodbye.",
];

const vocabulary = new Vocabulary(PHRASES);

function silence(ms: number): Int16Array {
  return Int16Array.from({ length: ms * 48 }, (_, i) => ((i * 7919) % 9) - 4);
}

/** Sound at 48 kHz of texts, silences in ms and PCM one after the other. */
function sound(...parts: (Int16Array | number | string)[]): Int16Array {
  const pieces = parts.map((part) => {
    if (typeof part === "number") return silence(part);
    return typeof part === "string" ? speak(part, { rate: 48_000 }) : part;
  });
  const out = new Int16Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}

/** All sounds through one run of Opus, each with `lead` ms of silence before it and 400 after. */
function called(sounds: Int16Array[], lead = 200, rate = 24_000, kilobits = 28): Int16Array[] {
  const gap = 800;
  const all = throughOpus(sound(gap, ...sounds.flatMap((one) => [one, gap])), rate, kilobits);
  let at = gap * 48;
  return sounds.map((one) => {
    const cut = [at - lead * 48, at + one.length + 400 * 48].map((n) =>
      Math.round((n * rate) / 48_000),
    );
    at += one.length + gap * 48;
    return all.subarray(cut[0], cut[1]);
  });
}

function heard(...sounds: Int16Array[]): string[] {
  return called(sounds).map((pcm) => vocabulary.recognise(pcm, 24_000));
}

function spoken(options: { wordsPerMinute?: number } = {}): Int16Array[] {
  return PHRASES.map((phrase) => speak(phrase, { ...options, rate: 48_000 }));
}

/** What a recogniser tells on the way, for each 50 ms of audio. */
function growing(pcm: Int16Array): { steps: string[][]; final: string[] } {
  const recogniser = vocabulary.listen(24_000);
  const steps: string[][] = [];
  for (let at = 0; at < pcm.length; at += 1200) {
    recogniser.push(pcm.subarray(at, at + 1200));
    steps.push(recogniser.certain());
  }
  return { steps, final: recogniser.finish() };
}

describe("what is said", () => {
  test.each([
    [24, 0, 37],
    [24, 50, 0],
    [24, 100, 300],
    [32, 0, 300],
    [32, 50, 37],
    [32, 100, 0],
  ])(
    "is heard after Opus of %d kbit/s, without its first %d ms, %d ms late",
    (kbits, clip, lead) => {
      const clipped = spoken().map((pcm) => pcm.subarray(clip * 48));
      const texts = called(clipped, lead, 24_000, kbits).map((pcm) =>
        vocabulary.recognise(pcm, 24_000),
      );
      expect(texts).toEqual(PHRASES);
    },
  );

  test.each([0.1, 0.3, 2])("is heard at %d times its loudness", (gain) => {
    const limit = (sample: number) => Math.max(-32_768, Math.min(32_767, sample * gain));
    expect(heard(...spoken().map((pcm) => pcm.map(limit)))).toEqual(PHRASES);
  });

  test.each([16_000, 24_000, 48_000])("is heard at %d Hz", (rate) => {
    const texts = called(spoken(), 200, rate).map((pcm) => vocabulary.recognise(pcm, rate));
    expect(texts).toEqual(PHRASES);
  });

  test.each([140, 200])("is heard when spoken at %d words a minute", (wordsPerMinute) => {
    expect(heard(...spoken({ wordsPerMinute }))).toEqual(PHRASES);
  });

  test("is heard in order when several phrases follow each other", () => {
    const pcm = sound("My name is Ada.", 250, "What is my name?", 20, "Yes.");
    expect(heard(pcm)).toEqual(["My name is Ada. What is my name? Yes."]);
  });

  test("is in time: below 30 ms of computing for 3 s of speech", () => {
    const pcm = throughOpus(
      sound(300, "I would like to book a table for two people at seven.", 300),
      24_000,
    );
    vocabulary.recognise(pcm, 24_000);
    const times = Array.from({ length: 9 }, () => {
      // Of this process, which other work on the machine does not lengthen.
      const before = process.cpuUsage();
      vocabulary.recognise(pcm, 24_000);
      const { user, system } = process.cpuUsage(before);
      return (user + system) / 1000;
    }).sort((a, b) => a - b);
    expect(times[4]).toBeLessThan(30);
  });
});

describe("parts of a phrase", () => {
  test.each([
    ["I would like to book", "a table for two people at seven."],
    ["Please turn off", "the lights in the kitchen."],
    ["Tell me", "a long story."],
    ["The weather is", "nice in Berlin."],
    ["What is the capital", "of France?"],
  ])("%s ... %s", (first, second) => {
    const texts = heard(sound(first), sound(second), sound(first, 300, second));
    expect(texts).toEqual([first, second, `${first} ${second}`]);
  });

  test("an audio that stops in the middle has only the words before", () => {
    const whole = speak("Please turn off the lights in the kitchen.", { rate: 48_000 });
    const [words = ""] = heard(whole.subarray(0, whole.length / 2));
    expect("Please turn off the lights in the kitchen.").toStartWith(words);
    expect(words.split(" ").length).toBeWithin(3, 6);
  });
});

describe("what is not said", () => {
  test("silence, noise and coughs have no words", () => {
    expect(vocabulary.recognise(new Int16Array(48_000), 24_000)).toBe("");
    const hiss = Int16Array.from({ length: 144_000 }, (_, i) => (Math.imul(i, 48_271) >> 7) % 3000);
    const coughs = [120, 200, 300, 500].map((ms) => cough(ms, 48_000));
    expect(heard(silence(3000), hiss, ...coughs)).toEqual(["", "", "", "", "", ""]);
    expect(vocabulary.recognise(new Int16Array(), 24_000)).toBe("");
  });

  test("a cough before a phrase changes nothing", () => {
    const pcm = sound(cough(250, 48_000), 400, "How are you today?");
    expect(heard(pcm)).toEqual(["How are you today?"]);
  });

  test("phrases that are not registered have no words", () => {
    const others = ["Good evening ladies and gentlemen.", "Where can I buy fresh bread?"];
    expect(heard(...others.map((other) => sound(other)))).toEqual(["", ""]);
  });

  test("an empty vocabulary hears nothing", () => {
    expect(new Vocabulary().recognise(speak("Hello there."), 24_000)).toBe("");
  });
});

describe("audio that grows", () => {
  test("comes word by word and is never revised", () => {
    for (const [index, pcm] of called(spoken(), 300).entries()) {
      const { steps, final } = growing(pcm);
      expect(final.join(" ")).toBe(PHRASES[index] ?? "");
      let before: string[] = [];
      for (const words of steps) {
        expect(words.slice(0, before.length)).toEqual(before);
        before = words;
      }
      expect(final.slice(0, before.length)).toEqual(before);
      // The end of the last word may wait for the commit, as more of the same sound could follow.
      expect(final.length - before.length).toBeLessThanOrEqual(1);
    }
  });

  test("has the first words of a sentence before its end", () => {
    const [pcm = new Int16Array()] = called([
      sound("I would like to book a table for two people at seven."),
    ]);
    const { steps } = growing(pcm);
    const first = steps.findIndex((words) => words.length > 0);
    expect(first).toBeWithin(0, steps.length / 2);
    expect(new Set(steps.map((words) => words.length)).size).toBeGreaterThan(5);
  });

  test("gives the same words however it is cut", () => {
    const pcm = throughOpus(sound(100, "What is my favourite colour?", 300), 24_000);
    const recogniser = vocabulary.listen(24_000);
    for (let at = 0; at < pcm.length; at += 331) recogniser.push(pcm.subarray(at, at + 331));
    expect(recogniser.finish().join(" ")).toBe(vocabulary.recognise(pcm, 24_000));
  });
});
