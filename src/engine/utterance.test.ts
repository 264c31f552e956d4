import { expect, test } from "bun:test";
import type { OnlineRecognizer } from "sherpa-onnx-node";
import { FairQueue } from "./fair-queue.ts";
import {
  BufferedUtterance,
  quietestCut,
  RECOGNISER_RATE,
  StreamingUtterance,
} from "./utterance.ts";

const MAX_SEGMENT_S = 24;
const never = new AbortController().signal;

/** A recogniser whose text is the number of seconds that it got. */
async function seconds(samples: Float32Array): Promise<string> {
  return String(Math.round(samples.length / RECOGNISER_RATE));
}

function noise(lengthS: number): Float32Array {
  return Float32Array.from({ length: lengthS * RECOGNISER_RATE }, (_, i) => (i % 2 ? 0.1 : -0.1));
}

test("audio that is too long is cut where it is quietest", () => {
  const audio = noise(MAX_SEGMENT_S + 10);
  audio.fill(0, 20 * RECOGNISER_RATE, 20.2 * RECOGNISER_RATE);
  expect(quietestCut(audio, MAX_SEGMENT_S) / RECOGNISER_RATE).toBeCloseTo(20.1, 1);
});

test("each segment of a long utterance is decoded once, in order", async () => {
  const decoded: number[] = [];
  const decode = async (samples: Float32Array) => {
    decoded.push(samples.length);
    return seconds(samples);
  };
  const utterance = new BufferedUtterance(decode, MAX_SEGMENT_S, new FairQueue(), "a");
  for (let i = 0; i < 60; i++) utterance.push(noise(1));
  const segments = await utterance.finish(never);
  expect(decoded.length).toBe(segments.length);
  expect(Math.max(...decoded)).toBeLessThanOrEqual(MAX_SEGMENT_S * RECOGNISER_RATE);
  expect(segments[0]?.start).toBe(0);
  expect(segments.at(-1)?.end).toBe(60);
  expect(segments.slice(1).map(({ start }) => start)).toEqual(
    segments.slice(0, -1).map(({ end }) => end),
  );
});

test("interim results contain the whole utterance, and give way to waiting clients", async () => {
  const queue = new FairQueue();
  const utterance = new BufferedUtterance(seconds, MAX_SEGMENT_S, queue, "a");
  utterance.push(noise(2));
  expect(await utterance.interim(never)).toBe("2");
  utterance.push(noise(1));
  expect(await utterance.interim(never)).toBe("3");
  const other = Promise.withResolvers<void>();
  void queue.run("b", () => other.promise);
  expect(await utterance.interim(never)).toBeUndefined();
  other.resolve();
});

test("an aborted utterance ends without waiting for the queue", async () => {
  const queue = new FairQueue();
  const other = Promise.withResolvers<void>();
  void queue.run("b", () => other.promise);
  const utterance = new BufferedUtterance(seconds, MAX_SEGMENT_S, queue, "a");
  utterance.push(noise(1));
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

test("an interim result has what was decoded so far, the final text also the last word", async () => {
  const utterance = new StreamingUtterance(streamingRecogniser(), new FairQueue(), "a");
  utterance.push(new Float32Array(STEP));
  expect(await utterance.interim(never)).toBe("word");
  utterance.push(new Float32Array(STEP * 2));
  expect(await utterance.finish(never)).toEqual([
    { text: "word word word word", start: 0, end: 1.5 },
  ]);
});

test("other clients get their turn between the steps of a long utterance", async () => {
  const queue = new FairQueue();
  const utterance = new StreamingUtterance(streamingRecogniser(), queue, "a");
  utterance.push(new Float32Array(STEP * 100));
  let done = false;
  const long = utterance.finish(never).then(() => {
    done = true;
  });
  await queue.run("b", async () => {});
  expect(done).toBe(false);
  await long;
});
