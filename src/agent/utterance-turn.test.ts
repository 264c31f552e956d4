import { afterEach, beforeEach, describe, expect, jest, test } from "bun:test";
import type { Frame } from "./audio-frames.ts";
import { SILENCE_MS } from "./end-of-turn.ts";
import { type TurnTiming, UtteranceTurns } from "./utterance-turn.ts";

/** 100 ms of audio with a number, to tell which audio was sent. */
interface NumberedFrame extends Frame {
  n: number;
}

interface Request {
  frames: number[];
  signal: AbortSignal;
  answer(text: string): Promise<void>;
  fail(error: unknown): Promise<void>;
}

/** Runs everything that waits for settled promises, without letting time pass. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await null;
}

/** A person who speaks: their audio, the VAD's events and the recogniser's answers. */
class Speaker {
  readonly requests: Request[] = [];
  readonly reports: string[] = [];
  mayBeSpeaking = false;
  readonly turns: UtteranceTurns<NumberedFrame>;
  #frames = 0;

  constructor(timing?: TurnTiming) {
    const handlers = {
      transcribe: (frames: NumberedFrame[], signal: AbortSignal) =>
        this.#transcribe(frames, signal),
      onInterim: (text: string) => this.reports.push(`interim ${text}`),
      onPreflight: (text: string) => this.reports.push(`preflight ${text}`),
      onFinal: (text: string) => this.reports.push(`final ${text}`),
      onError: (error: unknown) => this.reports.push(`error ${error}`),
      mayBeSpeaking: () => this.mayBeSpeaking,
    };
    this.turns = timing ? new UtteranceTurns(handlers, timing) : new UtteranceTurns(handlers);
  }

  #transcribe(frames: NumberedFrame[], signal: AbortSignal): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    this.requests.push({
      frames: frames.map(({ n }) => n),
      signal,
      answer: (text) => {
        resolve(text);
        return settle();
      },
      fail: (error) => {
        reject(error);
        return settle();
      },
    });
    return promise;
  }

  /** The newest request. */
  get request(): Request {
    const newest = this.requests.at(-1);
    if (!newest) throw new Error("nothing was sent to the recogniser");
    return newest;
  }

  audio(frames: number): this {
    for (let left = frames; left > 0; left -= 1) {
      this.#frames += 1;
      this.turns.push({ n: this.#frames, samplesPerChannel: 1600, sampleRate: 16_000 });
    }
    return this;
  }

  /** Speaks for that many frames and pauses; the VAD noticed `silenceMs` after the last word. */
  say(frames: number, silenceMs = 0): this {
    this.turns.speechStarted();
    this.audio(frames);
    this.turns.speechPaused(silenceMs);
    return this;
  }
}

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

describe("a turn without a pause", () => {
  test("is sent once, at the pause, and is final when the silence has lasted", async () => {
    const speaker = new Speaker().say(3);
    expect(speaker.request.frames).toEqual([1, 2, 3]);
    await speaker.request.answer(" Turn it on. ");
    expect(speaker.reports).toEqual(["preflight Turn it on."]);
    jest.advanceTimersByTime(SILENCE_MS.complete - 1);
    expect(speaker.reports).toHaveLength(1);
    jest.advanceTimersByTime(1);
    expect(speaker.reports).toEqual(["preflight Turn it on.", "final Turn it on."]);
    jest.advanceTimersByTime(60_000);
    expect(speaker.requests).toHaveLength(1);
    expect(speaker.reports).toHaveLength(2);
  });

  test("waits longer after incomplete text", async () => {
    const speaker = new Speaker().say(3);
    await speaker.request.answer("I would like a");
    jest.advanceTimersByTime(SILENCE_MS.unfinished - 1);
    expect(speaker.reports).toEqual(["preflight I would like a"]);
    jest.advanceTimersByTime(1);
    expect(speaker.reports.at(-1)).toBe("final I would like a");
  });

  test("counts the silence from the last word, not from when the VAD noticed it", async () => {
    const speaker = new Speaker().say(3, 200);
    await speaker.request.answer("Done.");
    jest.advanceTimersByTime(SILENCE_MS.complete - 200);
    expect(speaker.reports.at(-1)).toBe("final Done.");
  });

  test("is final at once when recognising took longer than the silence, without a preflight", async () => {
    const speaker = new Speaker().say(3);
    jest.advanceTimersByTime(SILENCE_MS.unfinished + 1);
    await speaker.request.answer("Done.");
    jest.advanceTimersByTime(1);
    expect(speaker.reports).toEqual(["final Done."]);
  });

  test("is dropped when it contains no speech", async () => {
    const speaker = new Speaker().say(3);
    await speaker.request.answer("  ");
    jest.advanceTimersByTime(60_000);
    expect(speaker.reports).toEqual([]);
    speaker.say(2);
    expect(speaker.request.frames).toEqual([4, 5]);
  });
});

describe("audio from before the VAD noticed speech", () => {
  test("is sent too, 600 ms of it", () => {
    const speaker = new Speaker().audio(20);
    speaker.say(2);
    expect(speaker.request.frames).toEqual([15, 16, 17, 18, 19, 20, 21, 22]);
  });

  test("is not taken from a turn that has ended", async () => {
    const speaker = new Speaker().say(3).audio(2);
    await speaker.request.answer("One.");
    jest.advanceTimersByTime(SILENCE_MS.complete);
    speaker.audio(2).say(1);
    expect(speaker.request.frames).toEqual([6, 7, 8]);
  });

  test("does not grow while nobody speaks", () => {
    const speaker = new Speaker().audio(5000);
    speaker.say(1);
    expect(speaker.request.frames).toHaveLength(7);
  });
});

describe("a pause inside a turn", () => {
  test("shows what was said so far, and the next pause sends the whole turn", async () => {
    const speaker = new Speaker().say(3).audio(1);
    speaker.turns.speechStarted();
    await speaker.request.answer("I would like");
    expect(speaker.reports).toEqual(["interim I would like"]);
    speaker.audio(2).turns.speechPaused(0);
    expect(speaker.request.frames).toEqual([1, 2, 3, 4, 5, 6]);
    await speaker.request.answer("I would like a coffee.");
    jest.advanceTimersByTime(SILENCE_MS.complete);
    expect(speaker.reports).toEqual([
      "interim I would like",
      "preflight I would like a coffee.",
      "final I would like a coffee.",
    ]);
  });

  test("after the transcript arrived does not end the turn when speech continues in time", async () => {
    const speaker = new Speaker().say(3);
    await speaker.request.answer("One.");
    jest.advanceTimersByTime(SILENCE_MS.complete - 1);
    speaker.turns.speechStarted();
    jest.advanceTimersByTime(60_000);
    expect(speaker.reports).toEqual(["preflight One."]);
    speaker.audio(1).turns.speechPaused(0);
    expect(speaker.request.frames).toEqual([1, 2, 3, 4]);
  });

  test("cancels the request of the pause before and ignores its late answer", async () => {
    const speaker = new Speaker().say(3);
    const first = speaker.request;
    speaker.say(2);
    expect(first.signal.aborted).toBe(true);
    await first.answer("One.");
    jest.advanceTimersByTime(60_000);
    expect(speaker.reports).toEqual([]);
    await speaker.request.answer("One two.");
    jest.advanceTimersByTime(SILENCE_MS.complete);
    expect(speaker.reports).toEqual(["final One two."]);
  });

  test("reported twice ends the turn once, with the text of all its audio", async () => {
    const speaker = new Speaker().say(3);
    await speaker.request.answer("One.");
    speaker.audio(1).turns.speechPaused(0);
    jest.advanceTimersByTime(60_000);
    await speaker.request.answer("One two.");
    jest.advanceTimersByTime(1);
    expect(speaker.reports).toEqual(["preflight One.", "final One two."]);
  });
});

test("the turn does not end while the VAD suspects speech", async () => {
  const speaker = new Speaker().say(3);
  await speaker.request.answer("One.");
  speaker.mayBeSpeaking = true;
  jest.advanceTimersByTime(SILENCE_MS.complete + 1000);
  expect(speaker.reports).toEqual(["preflight One."]);
  speaker.mayBeSpeaking = false;
  jest.advanceTimersByTime(100);
  expect(speaker.reports).toEqual(["preflight One.", "final One."]);
});

test("nothing of the first word is lost when the VAD lags behind", async () => {
  const speaker = new Speaker({ prefixMs: 200, maxTurnMs: 20_000 }).audio(20);
  speaker.turns.speechStarted(500);
  speaker.audio(1).turns.speechPaused(200);
  expect(speaker.request.frames).toEqual([14, 15, 16, 17, 18, 19, 20, 21]);
  await speaker.request.answer("Yes.");
});

/** The numbers from `first` to `last`. */
function frames(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, at) => first + at);
}

describe("a turn that grows too long", () => {
  test("is closed after 20 s although speech goes on, and nothing is lost or sent twice", async () => {
    const speaker = new Speaker();
    speaker.turns.speechStarted();
    speaker.audio(199);
    expect(speaker.requests).toHaveLength(0);
    speaker.audio(251);
    expect(speaker.requests.map((request) => request.frames)).toEqual([
      frames(1, 200),
      frames(201, 400),
    ]);
    speaker.turns.speechPaused(0);
    expect(speaker.request.frames).toEqual(frames(401, 450));
  });

  test("is cut at the last moment without speech, if it is no shorter than half", () => {
    const speaker = new Speaker();
    speaker.turns.speechStarted();
    speaker.audio(190);
    speaker.turns.unvoiced(250);
    speaker.audio(30);
    expect(speaker.request.frames).toEqual(frames(1, 187));
    speaker.turns.unvoiced(0);
    speaker.audio(180);
    expect(speaker.request.frames).toEqual(frames(188, 387));
  });

  test("is reported part by part, in order, whichever answer comes first", async () => {
    const speaker = new Speaker();
    speaker.turns.speechStarted();
    speaker.audio(450).turns.speechPaused(0);
    const [one, two, three] = speaker.requests;
    await three?.answer("Three.");
    await two?.answer("Two,");
    jest.advanceTimersByTime(60_000);
    expect(speaker.reports).toEqual([]);
    await one?.answer("One,");
    jest.advanceTimersByTime(0);
    expect(speaker.reports).toEqual(["final One,", "final Two,", "final Three."]);
  });

  test("loses only the part whose request fails", async () => {
    const speaker = new Speaker();
    speaker.turns.speechStarted();
    speaker.audio(250).turns.speechPaused(0);
    const [one, two] = speaker.requests;
    await one?.fail("503");
    await two?.answer("Two.");
    jest.advanceTimersByTime(SILENCE_MS.complete);
    expect(speaker.reports).toEqual(["error 503", "preflight Two.", "final Two."]);
  });
});

describe("a recogniser that is slow", () => {
  test("keeps its request while silence follows", async () => {
    const speaker = new Speaker().say(30);
    const { request } = speaker;
    speaker.audio(36_000);
    expect(speaker.requests).toHaveLength(1);
    expect(request.signal.aborted).toBe(false);
    speaker.say(3);
    expect(speaker.request.frames).toHaveLength(9);
    await speaker.request.answer("More.");
    await request.answer("Some.");
    jest.advanceTimersByTime(SILENCE_MS.complete);
    expect(speaker.reports).toEqual(["final Some.", "preflight More.", "final More."]);
  });

  test("costs no more than a few times the audio of somebody who makes short pauses", () => {
    const speaker = new Speaker();
    // An hour of talk with a pause every three seconds, none of which is long enough for an answer.
    for (let pause = 0; pause < 1200; pause += 1) {
      speaker.say(30);
      speaker.turns.unvoiced(0);
    }
    const sent = speaker.requests.map((request) => request.frames.length);
    expect(Math.max(...sent)).toBe(180);
    expect(sent.reduce((sum, length) => sum + length, 0)).toBeLessThan(36_000 * 5);
  });

  test("loses the oldest part when it answers nothing at all", async () => {
    const speaker = new Speaker();
    speaker.turns.speechStarted();
    for (let part = 0; part < 20; part += 1) {
      speaker.audio(200);
      await settle();
    }
    expect(speaker.requests.filter(({ signal }) => !signal.aborted)).toHaveLength(8);
    expect(speaker.reports).toEqual(Array(12).fill("error Error: timed out"));
    speaker.turns[Symbol.dispose]();
    expect(speaker.requests.every(({ signal }) => signal.aborted)).toBe(true);
    await settle();
    expect(speaker.reports).toHaveLength(12);
  });
});

test("noise that sounds like speech for ever does not keep a finished turn open", async () => {
  const speaker = new Speaker().say(3);
  speaker.mayBeSpeaking = true;
  await speaker.request.answer("One.");
  speaker.audio(30);
  jest.advanceTimersByTime(SILENCE_MS.complete + 2000);
  expect(speaker.reports).toEqual(["preflight One.", "final One."]);
  // If it was speech after all, its beginning is there.
  speaker.say(2);
  expect(speaker.request.frames).toEqual([28, 29, 30, 31, 32, 33, 34, 35]);
});

describe("a recogniser that fails", () => {
  test("is reported, the turn is dropped, and the next one works", async () => {
    const speaker = new Speaker().say(3);
    await speaker.request.fail("503");
    expect(speaker.reports).toEqual(["error 503"]);
    jest.advanceTimersByTime(60_000);
    speaker.say(1);
    expect(speaker.request.frames).toEqual([4]);
    await speaker.request.answer("Again.");
    jest.advanceTimersByTime(SILENCE_MS.complete);
    expect(speaker.reports.at(-1)).toBe("final Again.");
  });

  test("loses no audio of the turn while speech continues", async () => {
    const speaker = new Speaker().say(3);
    speaker.turns.speechStarted();
    await speaker.request.fail("503");
    speaker.audio(2).turns.speechPaused(0);
    expect(speaker.request.frames).toEqual([1, 2, 3, 4, 5]);
    await speaker.request.answer("All of it.");
    jest.advanceTimersByTime(SILENCE_MS.complete);
    expect(speaker.reports.at(-1)).toBe("final All of it.");
  });

  test("is not reported when its request was cancelled", async () => {
    const speaker = new Speaker().say(3);
    const first = speaker.request;
    speaker.say(2);
    await first.fail("aborted");
    expect(speaker.reports).toEqual([]);
  });
});

describe("after it is disposed of", () => {
  test("nothing is reported, and the request is cancelled", async () => {
    const speaker = new Speaker().say(3);
    speaker.turns[Symbol.dispose]();
    expect(speaker.request.signal.aborted).toBe(true);
    await speaker.request.answer("One.");
    jest.advanceTimersByTime(60_000);
    expect(speaker.reports).toEqual([]);
  });

  test("no timer of a turn that was about to end is left", async () => {
    const speaker = new Speaker().say(3);
    await speaker.request.answer("One.");
    speaker.turns[Symbol.dispose]();
    expect(jest.getTimerCount()).toBe(0);
    jest.advanceTimersByTime(60_000);
    expect(speaker.reports).toEqual(["preflight One."]);
  });
});

test("a pause before any speech sends nothing", () => {
  const speaker = new Speaker().audio(5);
  speaker.turns.speechPaused(0);
  expect(speaker.requests).toEqual([]);
});
