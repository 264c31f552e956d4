import { expect, test } from "bun:test";
import { audioOf, silence, simpleAudioTools, tone } from "../../test/engine-audio.ts";
import { PAUSES, RECOGNISER_RATE } from "./audio-tools.ts";
import { type SpeechSpan, SpeechSpans } from "./speech-spans.ts";

const MAX_S = 8;

/** The spans of audio that arrives in parts of `partS` seconds. */
function spansOf(audio: Float32Array, partS = 0.1): SpeechSpan[] {
  const spans = new SpeechSpans(simpleAudioTools().detector(PAUSES), MAX_S);
  const part = Math.round(partS * RECOGNISER_RATE);
  const found: SpeechSpan[] = [];
  for (let at = 0; at < audio.length; at += part) {
    found.push(...spans.push(audio.subarray(at, at + part)));
  }
  return [...found, ...spans.finish()];
}

function seconds({ start, end }: SpeechSpan) {
  return [start, end].map((sample) => Math.round((sample / RECOGNISER_RATE) * 10) / 10);
}

for (const partS of [0.1, 60]) {
  test(`silence is in no span, in parts of ${partS} s`, () => {
    const audio = audioOf(silence(5), tone(2), silence(4), tone(3), silence(2));
    const spans = spansOf(audio, partS);
    expect(spans.map(seconds)).toEqual([
      [5, 7],
      [11, 14],
    ]);
    expect(Math.max(...spans.map(({ samples }) => samples.length / RECOGNISER_RATE))).toBeLessThan(
      4,
    );
  });

  test(`speech that is too long is cut in its longest pause, in parts of ${partS} s`, () => {
    const audio = audioOf(tone(4), silence(0.5), tone(2), silence(0.2), tone(4), silence(1));
    const spans = spansOf(audio, partS);
    expect(spans.map(seconds)).toEqual([
      [0, 4],
      [4.5, 10.7],
    ]);
    expect(spans.map(({ overlap }) => overlap)).toEqual([0, 0]);
  });
}

test("speech without a pause is cut where it is quietest, and the spans overlap by a second", () => {
  const audio = tone(20);
  for (let i = 6.2 * RECOGNISER_RATE; i < 6.3 * RECOGNISER_RATE; i++)
    audio[i] = (audio[i] ?? 0) / 2;
  const spans = spansOf(audio);
  expect(seconds(spans[0] as SpeechSpan)[1]).toBeCloseTo(6.3, 0);
  for (const [i, span] of spans.entries()) {
    expect(span.samples.length).toBeLessThanOrEqual(MAX_S * RECOGNISER_RATE);
    const before = spans[i - 1];
    expect(span.overlap).toBe(before ? RECOGNISER_RATE : 0);
    if (before) expect(span.to - span.samples.length).toBe(before.to - RECOGNISER_RATE);
  }
  expect(spans.at(-1)?.to).toBe(audio.length);
});

test("quiet speech is found, and passed on as it is", () => {
  const quiet = audioOf(silence(1), tone(1), silence(1)).map((sample) => sample / 100);
  const [span, ...others] = spansOf(quiet);
  expect(others).toEqual([]);
  expect(seconds(span as SpeechSpan)).toEqual([1, 2]);
  expect(Math.max(...(span?.samples ?? []))).toBeCloseTo(0.0025, 4);
});

test("pauses within a span keep it whole, and silence alone is nothing", () => {
  const spans = spansOf(audioOf(tone(1), silence(0.4), tone(1), silence(0.6), tone(1)));
  expect(spans.map(seconds)).toEqual([[0, 4]]);
  expect(spansOf(silence(30))).toEqual([]);
});
