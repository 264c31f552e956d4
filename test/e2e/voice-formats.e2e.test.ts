import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Envelope } from "../../src/domain/transcript.ts";
import { pcmBytes, wavHeader } from "../../src/lib/wav.ts";
import { type Encoding, encode } from "../audio/encode.ts";
import { listen } from "../audio/listen.ts";
import { answersInstead, loads, sendsBytes, sendsSilence } from "../stand-in/quirks/tts.ts";
import type { Quirk } from "../stand-in/quirks.ts";
import { type LiveKitFixture, ParticipantCall, startLiveKitFixture } from "./participant-call.ts";
import { spokenTest } from "./spoken.ts";

const HZ = 500;
const SECONDS = 0.8;
const RATE = 24_000;
/** The sound of a failed turn is shorter. */
const FAILURE_SOUND_MS = 500;
/** A voice that is loaded would have failed by then. */
const LOADING_MS = 9000;
/** Of what a caller hears. */
const ROOM_RATE = 48_000;

/** What the voice sends in the place of each sentence: a tone that swells and fades. */
const TONE = Int16Array.from({ length: RATE * SECONDS }, (_, at) => {
  const swell = Math.min(1, at / 480, (RATE * SECONDS - at) / 480);
  return 12_000 * swell * Math.sin((2 * Math.PI * HZ * at) / RATE);
});

let fixture: LiveKitFixture;
let call: ParticipantCall;
/** The answer for which the voice had to be loaded. */
let loaded: Awaited<ReturnType<typeof answer>>;

beforeAll(async () => {
  fixture = await startLiveKitFixture({});
  call = await ParticipantCall.begin(fixture.parley);
  // The first answer is not judged by its sound: the first packets of a track are not all played.
  loaded = await answer([loads(LOADING_MS)]);
});
afterAll(async () => {
  await call[Symbol.asyncDispose]();
  await fixture[Symbol.asyncDispose]();
});

/** Types something, and returns the events of the answer and what was heard of it, at 48 kHz. */
async function answer(quirks: Quirk[]) {
  fixture.ai.quirks = quirks;
  const since = call.now;
  const from = Date.now();
  await call.parley.post(`/session/${call.id}/message`, { text: "hello" });
  const { seq } = await call.final("agent", since);
  await call.agentIs("listening", seq);
  await call.silence();
  const frames = call.caller.heard.filter(({ at }) => at > from);
  const pcm = Int16Array.from(frames.flatMap(({ samples }) => [...samples]));
  return { pcm, events: call.listener.events.filter((event) => event.seq > since) };
}

test("a voice that has to be loaded is waited for, and the page says so", () => {
  const told = loaded.events.flatMap(({ type, data }) =>
    type === "error" || type === "notice" ? [data] : [],
  );
  expect(told).toMatchObject([{ code: "model_loading", stage: "tts", transient: true }]);
  expect(listen(loaded.pcm, ROOM_RATE)).not.toEqual([]);
});

/** How much of the energy is the tone, in stretches of 50 ms; 1 for nothing else. */
function purity(pcm: Int16Array): number {
  const size = ROOM_RATE / 20;
  let [energy, tone] = [0, 0];
  for (let begin = 0; begin + size <= pcm.length; begin += size) {
    let [sine, cosine] = [0, 0];
    for (let at = begin; at < begin + size; at++) {
      const sample = pcm[at] ?? 0;
      const phase = (2 * Math.PI * HZ * at) / ROOM_RATE;
      energy += sample ** 2;
      sine += sample * Math.sin(phase);
      cosine += sample * Math.cos(phase);
    }
    tone += (2 * (sine ** 2 + cosine ** 2)) / size;
  }
  return tone / energy;
}

const file = (encoding: Encoding) => (): Uint8Array => encode(TONE, RATE, encoding);
const STREAMED = Buffer.concat([wavHeader(RATE), pcmBytes(TONE)]);

const SOUNDS: [name: string, report: string, type: string, bytes: () => Uint8Array][] = [
  [
    "WAV of another rate, in stereo",
    "AreevAI/flowcat#10",
    "audio/wav",
    file({ codec: "pcm_s24le", container: "wav", rate: 22_050, channels: 2 }),
  ],
  [
    "MP3 by another name",
    "livekit/agents-js#2320",
    "application/octet-stream",
    file({ codec: "libmp3lame", container: "mp3", rate: 44_100, channels: 2 }),
  ],
  ["Opus", "livekit/agents-js#2320", "audio/ogg", file({ codec: "libopus", container: "ogg" })],
];

for (const [name, report, type, bytes] of SOUNDS) {
  spokenTest(`${name} is heard as the sound that was sent`, async () => {
    const { pcm, events } = await answer([
      sendsBytes(name, report, bytes, { type, cuts: [30, 1] }),
    ]);
    expect(events.filter(({ type }) => type === "error")).toEqual([]);
    const [span, ...more] = listen(pcm, ROOM_RATE);
    expect(more).toEqual([]);
    const [start, end] = [span?.startMs ?? 0, span?.endMs ?? 0];
    expect(Math.abs(end - start - SECONDS * 1000)).toBeLessThan(120);
    const heard = pcm.subarray((start * ROOM_RATE) / 1000, (end * ROOM_RATE) / 1000);
    expect(purity(heard)).toBeGreaterThan(0.9);
  });
}

spokenTest("WAV files in a row are heard without a click between them", async () => {
  const bytes = () => Buffer.concat([STREAMED, STREAMED]);
  const quirk = sendsBytes("two WAV files", "inworld-ai/inworld-api-examples#21", bytes);
  const { pcm } = await answer([quirk]);
  const [span] = listen(pcm, ROOM_RATE);
  expect(Math.abs((span?.endMs ?? 0) - (span?.startMs ?? 0) - 2000 * SECONDS)).toBeLessThan(120);
});

const FAILURES: [code: string, quirk: Quirk][] = [
  [
    "provider_error_body",
    answersInstead(
      "JSON",
      "livekit/agents-js#2320",
      '{"error":{"message":"x"}}',
      "application/json",
    ),
  ],
  ["provider_silent", sendsSilence],
];

for (const [code, quirk] of FAILURES) {
  test(`when ${quirk.name} no more is heard than that something failed, and the page is told why`, async () => {
    const { pcm, events } = await answer([quirk]);
    const audibleMs = listen(pcm, ROOM_RATE).reduce((sum, at) => sum + at.endMs - at.startMs, 0);
    expect(audibleMs).toBeLessThan(FAILURE_SOUND_MS);
    const errors = events.filter(
      (event): event is Envelope & { type: "error" } => event.type === "error",
    );
    expect(errors.map(({ data }) => [data.stage, data.code])).toEqual([["tts", code]]);
  });
}
