import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { userToken } from "../../src/livekit/tokens.ts";
import { speak } from "../audio/speech.ts";
import { Caller } from "../caller.ts";
import { startLiveKit } from "../lifecycle/inspected-parley.ts";
import { RECORDER, RoomRecorder } from "./room-recorder.ts";
import { saying, spoken } from "./spoken.ts";

// The tests' own judge of who lost a word, the machine or Parley, is put to the test.

const SENTENCE = "Please remind me tomorrow to call my mother.";
const RATE = 48_000;

let livekit: Awaited<ReturnType<typeof startLiveKit>>;
let folder: string;

beforeAll(async () => {
  livekit = await startLiveKit();
  folder = mkdtempSync(join(tmpdir(), "parley-spoken-"));
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await livekit[Symbol.asyncDispose]();
});

/** Says the sentence in a room, as `change` leaves it, to a Parley that always misses a word. */
async function misheard(change: (samples: Int16Array) => Int16Array): Promise<never> {
  const room = crypto.randomUUID();
  const { apiKey, apiSecret } = livekit;
  const token = (identity: string) => userToken({ apiKey, apiSecret, room, identity });
  await using caller = await Caller.join(livekit.url, await token("ada"));
  await using recorder = await RoomRecorder.join(livekit.url, await token(RECORDER), "ada");
  // The first packets of a track are not all played.
  await caller.speak(new Int16Array(RATE));
  await saying(recorder, SENTENCE, () => caller.speak(change(speak(SENTENCE, { rate: RATE }))));
  throw new Error("a word is missing");
}

/** What came of a scenario, and how often it ran and was noted as repeated. */
async function outcomeOf(scenario: (attempt: number) => Promise<unknown>) {
  const file = join(folder, crypto.randomUUID());
  const before = Bun.env["PARLEY_REPETITIONS"];
  Bun.env["PARLEY_REPETITIONS"] = file;
  let attempts = 0;
  try {
    const error = await spoken(() => scenario(++attempts)).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    const exists = await Bun.file(file).exists();
    const noted = exists ? readFileSync(file, "utf8").trimEnd().split("\n").length : 0;
    return { error, attempts, noted };
  } finally {
    if (before === undefined) delete Bun.env["PARLEY_REPETITIONS"];
    else Bun.env["PARLEY_REPETITIONS"] = before;
  }
}

/** What a microphone gives that misses 300 ms in the middle, as Chromium's fake one does. */
function torn(samples: Int16Array): Int16Array {
  const middle = Math.floor(samples.length / 2);
  const rest = samples.subarray(middle + 0.3 * RATE);
  const left = new Int16Array(middle + rest.length);
  left.set(samples.subarray(0, middle));
  left.set(rest, middle);
  return left;
}

test("words that reached the room and were not understood are a failure, without a repetition", async () => {
  const { error, attempts, noted } = await outcomeOf(() => misheard((samples) => samples));
  expect({ attempts, noted }).toEqual({ attempts: 1, noted: 0 });
  expect(String(error)).toContain("a word is missing");
  expect(String(error)).toContain(`"received":"${SENTENCE}"`);
});

test("words that did not reach the room are said again once, and that is counted", async () => {
  const once = await outcomeOf((attempt) => (attempt === 1 ? misheard(torn) : Promise.resolve()));
  expect(once).toEqual({ error: undefined, attempts: 2, noted: 1 });
});

test("a machine that loses words every time fails the test in the end", async () => {
  const { error, attempts, noted } = await outcomeOf(() => misheard(torn));
  expect({ attempts, noted }).toEqual({ attempts: 2, noted: 1 });
  expect(String(error)).toContain("a word is missing");
});
