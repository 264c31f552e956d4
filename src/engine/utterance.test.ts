import { expect, test } from "bun:test";
import type { OnlineRecognizer } from "sherpa-onnx-node";
import { audioOf, silence, simpleAudioTools, tone } from "../../test/engine-audio.ts";
import { PAUSES, RECOGNISER_RATE } from "./audio-tools.ts";
import { FairQueue } from "./fair-queue.ts";
import { BufferedUtterance, type Decode, StreamingUtterance } from "./utterance.ts";

const never = new AbortController().signal;

/** A recogniser whose text is the number of seconds that it got. */
const seconds: Decode = async (samples) => ({
  text: String(Math.round(samples.length / RECOGNISER_RATE)),
});

function buffered(decode: Decode, queue = new FairQueue()): BufferedUtterance {
  const detector = simpleAudioTools().detector(PAUSES);
  return new BufferedUtterance({ decode, detector, maxSeconds: 8, queue, client: "a" });
}

test("segments are what is spoken, each decoded once and in order", async () => {
  let decoded = 0;
  const utterance = buffered((samples) => {
    decoded += 1;
    return seconds(samples);
  });
  utterance.push(audioOf(silence(3), tone(2), silence(2), tone(4), silence(2)));
  const segments = await utterance.finish(never);
  expect(decoded).toBe(2);
  expect(segments.map(({ start, end }) => [start, end].map(Math.round))).toEqual([
    [3, 5],
    [7, 11],
  ]);
});

test("what a cut inside speech lets both sides hear is in the text once", async () => {
  // One word a second; the second word of each span is cut, so that the model gets it wrong.
  const spoken = "one two three four five six seven eight nine ten eleven twelve".split(" ");
  let from = 0;
  const utterance = buffered(async (samples) => {
    const to = from + Math.round(samples.length / RECOGNISER_RATE);
    const words = spoken.slice(from, to);
    from = to - 1;
    return { text: words.join(" ") };
  });
  utterance.push(tone(12));
  const segments = await utterance.finish(never);
  expect(segments.length).toBeGreaterThan(1);
  expect(segments.map(({ text }) => text).join(" ")).toBe(spoken.join(" "));
});

test("a sentence that is cut in a pause has no full stop there", async () => {
  const texts = ["It needs more salt.", "and pepper.", "The end."];
  const utterance = buffered(async () => ({ text: texts.shift() ?? "" }));
  utterance.push(audioOf(tone(5), silence(0.3), tone(5), silence(2), tone(1)));
  const segments = await utterance.finish(never);
  expect(segments.map(({ text }) => text)).toEqual([
    "It needs more salt",
    "and pepper.",
    "The end.",
  ]);
});

test("audio that arrives faster than it is recognised has to wait", async () => {
  const decoding = Promise.withResolvers<void>();
  const utterance = buffered(async () => {
    await decoding.promise;
    return { text: "" };
  });
  utterance.push(tone(16));
  await utterance.ready(never);
  utterance.push(tone(30));
  let isReady = false;
  const ready = utterance.ready(never).then(() => {
    isReady = true;
  });
  await Bun.sleep(0);
  expect(isReady).toBe(false);
  decoding.resolve();
  await ready;
});

test("segments are taken as they become certain, and silence costs nothing", async () => {
  let decoded = 0;
  const utterance = buffered((samples) => {
    decoded += 1;
    return seconds(samples);
  });
  utterance.push(audioOf(tone(2), silence(2), tone(2), silence(2), tone(2)));
  expect((await utterance.take(never)).length).toBe(1);
  utterance.push(silence(60));
  expect((await utterance.finish(never)).length).toBe(2);
  expect(decoded).toBe(3);
});

test("interim results contain the whole utterance, and give way to waiting clients", async () => {
  const queue = new FairQueue();
  const utterance = buffered(seconds, queue);
  utterance.push(tone(2));
  expect(await utterance.interim(never)).toBe("2");
  utterance.push(tone(1));
  expect(await utterance.interim(never)).toBe("3");
  const other = Promise.withResolvers<void>();
  void queue.run("b", () => other.promise);
  expect(await utterance.interim(never)).toBeUndefined();
  other.resolve();
});

test("an interim result whose span ended meanwhile is dropped", async () => {
  const waiting = Promise.withResolvers<void>();
  const utterance = buffered(async (samples) => {
    await waiting.promise;
    return seconds(samples);
  });
  utterance.push(tone(7.5));
  const interim = utterance.interim(never);
  utterance.push(tone(8.5));
  waiting.resolve();
  expect(await interim).toBeUndefined();
});

test("an aborted utterance ends without waiting for the queue", async () => {
  const queue = new FairQueue();
  const other = Promise.withResolvers<void>();
  void queue.run("b", () => other.promise);
  const utterance = buffered(seconds, queue);
  utterance.push(tone(1));
  const gone = new AbortController();
  const result = utterance.finish(gone.signal);
  gone.abort(new Error("gone"));
  await expect(result).rejects.toThrow("gone");
  other.resolve();
});

/** Samples that the streaming recogniser below takes per step. */
const STEP = RECOGNISER_RATE / 2;

/** Recognises one word per half second. A fake, because real streaming models are too large. */
function streamingRecogniser(): OnlineRecognizer {
  const stream = {
    samples: 0,
    steps: 0,
    acceptWaveform: ({ samples }: { samples: Float32Array }) => {
      stream.samples += samples.length;
    },
    inputFinished: () => {},
    setOption: () => {},
  };
  return {
    createStream: () => stream,
    isReady: () => stream.samples >= (stream.steps + 1) * STEP,
    decode: () => {
      stream.steps += 1;
    },
    getResult: () => ({ text: ` ${"word ".repeat(stream.steps)}` }),
  };
}

function streaming(queue = new FairQueue()): StreamingUtterance {
  const recogniser = streamingRecogniser();
  const options = { written: (text: string) => text, language: undefined, heard: "en" };
  return new StreamingUtterance({ ...options, recogniser, queue, client: "a" });
}

test("an interim result has what was decoded so far, the final text also the last word", async () => {
  const utterance = streaming();
  utterance.push(new Float32Array(STEP));
  expect(await utterance.interim(never)).toBe("word");
  utterance.push(new Float32Array(STEP * 2));
  expect(await utterance.finish(never)).toEqual([
    { text: "word word word word", start: 0, end: 1.5, words: undefined, language: "en" },
  ]);
});

test("other clients get their turn between the steps of a long utterance", async () => {
  const queue = new FairQueue();
  const utterance = streaming(queue);
  utterance.push(new Float32Array(STEP * 100));
  let done = false;
  const long = utterance.finish(never).then(() => {
    done = true;
  });
  await queue.run("b", async () => {});
  expect(done).toBe(false);
  await long;
});
