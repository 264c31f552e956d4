import { expect, test } from "bun:test";
import type { OnlineRecognizer } from "sherpa-onnx-node";
import { FairQueue } from "./fair-queue.ts";
import { HEARING_RATE } from "./split-audio.ts";
import { StreamedUtterance } from "./streamed-utterance.ts";

const never = new AbortController().signal;
/** What the recogniser below takes at a step. */
const STEP = HEARING_RATE / 2;

/** Hears one word in each half second; none of these is real, the streaming models are too large. */
function recogniser(): OnlineRecognizer {
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

test("an interim has what was decoded so far, the end what the tail gave free", async () => {
  const utterance = new StreamedUtterance(recogniser(), new FairQueue(), "a");
  utterance.push(new Float32Array(STEP));
  expect(await utterance.interim(never)).toBe("word");
  utterance.push(new Float32Array(STEP * 2));
  expect(await utterance.finish(never)).toEqual([
    { text: "word word word word", start: 0, end: 1.5 },
  ]);
});

test("others get their turn between the steps of a long one", async () => {
  const queue = new FairQueue();
  const utterance = new StreamedUtterance(recogniser(), queue, "a");
  utterance.push(new Float32Array(STEP * 100));
  let done = false;
  const long = utterance.finish(never).then(() => {
    done = true;
  });
  await queue.run("b", async () => {});
  expect(done).toBe(false);
  await long;
});
