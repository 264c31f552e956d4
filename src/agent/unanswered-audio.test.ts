import { expect, test } from "bun:test";
import type { Frame } from "./audio-frames.ts";
import { UnansweredAudio } from "./unanswered-audio.ts";

/** 100 ms of audio with a number. */
interface Numbered extends Frame {
  n: number;
}

class Speaker {
  readonly audio = new UnansweredAudio<Numbered>();
  #n = 0;

  push(frames: number): void {
    for (let left = frames; left > 0; left -= 1) {
      this.#n += 1;
      this.audio.push({ n: this.#n, samplesPerChannel: 2400, sampleRate: 24_000 });
    }
  }

  say(frames: number): void {
    this.audio.startUtterance(0);
    this.push(frames);
    this.audio.endUtterance();
  }

  /** What a connection gets now: numbers of frames, and `c` for a commit. */
  sent(): (number | "c")[] {
    const got: (number | "c")[] = [];
    this.audio.send({ append: ({ n }) => got.push(n), commit: () => got.push("c") });
    return got;
  }
}

test("audio is sent once, with a commit after each utterance", () => {
  const speaker = new Speaker();
  speaker.say(2);
  speaker.push(1);
  expect(speaker.sent()).toEqual([1, 2, "c", 3]);
  expect(speaker.sent()).toEqual([]);
  speaker.say(1);
  expect(speaker.sent()).toEqual([4, "c"]);
});

test("the next connection gets all that was not answered, in the same utterances", () => {
  const speaker = new Speaker();
  speaker.say(1);
  speaker.say(2);
  speaker.sent();
  speaker.audio.answerUtterance();
  speaker.audio.connectionLost();
  speaker.audio.startUtterance(0);
  speaker.push(1);
  expect(speaker.sent()).toEqual([2, 3, "c", 4]);
  expect(speaker.audio.awaitsAnswer).toBe(true);
});

test("of an hour of silence two seconds are kept, and none of it is sent twice", () => {
  const speaker = new Speaker();
  let sent = 0;
  for (let tenths = 0; tenths < 36_000; tenths += 1) {
    speaker.push(1);
    sent += speaker.sent().length;
  }
  expect(sent).toBe(36_000);
  expect(speaker.audio.frames).toHaveLength(20);
  speaker.audio.connectionLost();
  expect(speaker.sent()).toHaveLength(20);
});

test("speech without a pause is cut after 20 s, and nothing is missing at the cut", () => {
  const speaker = new Speaker();
  speaker.audio.startUtterance(0);
  speaker.push(450);
  const sent = speaker.sent();
  expect(sent.filter((one) => one !== "c")).toEqual(Array.from({ length: 450 }, (_, n) => n + 1));
  expect(sent.flatMap((one, at) => (one === "c" ? [at] : []))).toEqual([200, 401]);
});

test("an hour of speech that nobody answers is bounded by dropping what has waited too long", () => {
  const speaker = new Speaker();
  speaker.audio.startUtterance(0);
  speaker.push(450);
  expect(speaker.audio.dropOlderThan(60_000)).toBe(false);
  expect(speaker.audio.dropOlderThan(0)).toBe(true);
  expect(speaker.audio.frames.map(({ n }) => n)).toEqual(
    Array.from({ length: 50 }, (_, at) => at + 401),
  );
  expect(speaker.audio.dropOlderThan(0)).toBe(false);
});

test("how much of an utterance is speech is known when its answer comes", () => {
  const speaker = new Speaker();
  speaker.audio.voiced(32);
  speaker.audio.startUtterance(100);
  speaker.audio.voiced(32);
  speaker.audio.endUtterance();
  speaker.audio.voiced(64);
  expect(speaker.audio.oldest.voicedMs).toBe(132);
  speaker.audio.answerUtterance();
  expect(speaker.audio.oldest.voicedMs).toBe(64);
});
