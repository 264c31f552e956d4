import { beforeAll, expect, test } from "bun:test";
import { initializeLogger } from "@livekit/agents";
import type { Audio } from "../lib/wav.ts";
import { ROOM_RATE, RoomSound } from "./room-sound.ts";

// The framework's classes need its log.
beforeAll(() => initializeLogger({ pretty: false, level: "silent" }));

const SECONDS = 0.5;
const HZ = 440;

function tone(rate: number, from = 0): Audio {
  const pcm = Int16Array.from({ length: rate * SECONDS }, (_, at) =>
    Math.round(10_000 * Math.sin(2 * Math.PI * HZ * (from + at / rate))),
  );
  return { pcm, rate };
}

/** What the room gets of sounds that come in pieces of `size` samples. */
function heard(sounds: readonly Audio[], size: number): number[] {
  using room = new RoomSound();
  const pcm: number[] = [];
  for (const sound of sounds) {
    for (let at = 0; at < sound.pcm.length; at += size) {
      const frames = room.push({ pcm: sound.pcm.slice(at, at + size), rate: sound.rate });
      pcm.push(...frames.flatMap(({ data }) => [...data]));
    }
  }
  pcm.push(...room.end().flatMap(({ data }) => [...data]));
  return pcm;
}

/** The furthest that a sample is from the tone. */
function worst(pcm: number[]): number {
  const ideal = tone(ROOM_RATE).pcm;
  const whole = pcm.slice(0, ideal.length);
  // A filter rings where a tone begins or ends at once, as speech does not.
  return Math.max(...whole.map((value, at) => Math.abs(value - (ideal[at] ?? 0))).slice(200, -200));
}

test("sound of any rate has its length and pitch, without seams between its pieces", () => {
  for (const rate of [8000, 16_000, 22_050, 24_000, 44_100, 48_000]) {
    for (const size of [1, 97, 480, 10_000]) {
      const pcm = heard([tone(rate)], size);
      expect(Math.abs(pcm.length - ROOM_RATE * SECONDS)).toBeLessThan(24);
      expect(worst(pcm)).toBeLessThan(12);
    }
  }
});

test("a sound that changes its rate goes on without a gap or a click", () => {
  const pcm = heard([tone(48_000), tone(16_000, SECONDS), tone(24_000, 2 * SECONDS)], 700);
  expect(Math.abs(pcm.length - 3 * ROOM_RATE * SECONDS)).toBeLessThan(24);
  const steps = pcm.map((value, at) => Math.abs(value - (pcm[at - 1] ?? value)));
  // Of the tone itself: 2π · 440 / 24,000 · 10,000.
  expect(Math.max(...steps)).toBeLessThan(1152 * 1.5);
});
