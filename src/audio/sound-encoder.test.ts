import { describe, expect, test } from "bun:test";
import { openSound } from "./open-sound.ts";
import {
  CONTENT_TYPES,
  createSoundEncoder,
  ENCODED_FORMATS,
  type EncodedFormat,
} from "./sound-encoder.ts";

const RATE = 24_000;
const SECONDS = 2;

/** A tone that swells and falls, in 16-bit samples. */
function tone(seconds: number): Int16Array {
  return Int16Array.from({ length: seconds * RATE }, (_, at) => {
    const loudness = 12_000 * Math.sin((Math.PI * at) / (seconds * RATE));
    return Math.round(loudness * Math.sin((2 * Math.PI * 440 * at) / RATE));
  });
}

async function encoded(
  format: EncodedFormat,
  pcm: Int16Array,
  step: number,
): Promise<Uint8Array[]> {
  const encoder = await createSoundEncoder(format, RATE);
  const parts = [encoder.head];
  for (let at = 0; at < pcm.length; at += step)
    parts.push(encoder.encode(pcm.subarray(at, at + step)));
  return [...parts, encoder.end()];
}

async function decoded(format: EncodedFormat, parts: readonly Uint8Array[]) {
  async function* body() {
    yield* parts.filter(({ length }) => length > 0);
  }
  const sound = await openSound(body(), CONTENT_TYPES[format]);
  const all: Int16Array[] = [];
  let rate = 0;
  for await (const piece of sound.pieces) {
    all.push(piece.pcm);
    rate = piece.rate;
  }
  return { pcm: Int16Array.from(all.flatMap((pcm) => [...pcm])), rate };
}

/** How like two sounds are at their best shift of up to 100 ms, from 0 to 1. */
function likeness(a: Int16Array, b: Int16Array, rate: number): number {
  const stride = rate / RATE;
  let best = 0;
  for (let shift = 0; shift < rate / 10; shift++) {
    let [product, own, other] = [0, 0, 0];
    for (let at = 0; at < a.length; at += 17) {
      const [x, y] = [a[at] ?? 0, b[at * stride + shift] ?? 0];
      product += x * y;
      own += x * x;
      other += y * y;
    }
    best = Math.max(best, product / Math.sqrt(own * other + 1));
  }
  return best;
}

describe.each(ENCODED_FORMATS.map((format) => [format]))("%s", (format) => {
  test("sounds like what was encoded, and is as long", async () => {
    const pcm = tone(SECONDS);
    const { pcm: heard, rate } = await decoded(format, await encoded(format, pcm, 5000));
    expect(heard.length / rate).toBeGreaterThan(SECONDS - 0.01);
    expect(heard.length / rate).toBeLessThan(SECONDS + 0.1);
    expect(likeness(pcm, heard, rate)).toBeGreaterThan(0.98);
  }, 30_000);

  test("begins before the first sample, and leaves piece by piece", async () => {
    const parts = await encoded(format, tone(SECONDS), RATE);
    expect(parts.slice(0, SECONDS + 1).every(({ length }) => length > 0)).toBe(true);
  });

  test("can be empty, and of one sample", async () => {
    expect((await encoded(format, new Int16Array(), 1))[0]?.length).toBeGreaterThan(0);
    const { pcm } = await decoded(format, await encoded(format, Int16Array.of(12_000), 1));
    expect(pcm.length).toBeGreaterThan(0);
  });
});

test("FLAC gives back every sample, of noise and of extremes", async () => {
  const length = 200_000;
  const noise = Int16Array.from({ length }, () => Math.floor(Math.random() * 65_536) - 32_768);
  const extremes = Int16Array.from({ length: 5000 }, (_, at) => (at % 2 === 0 ? 32_767 : -32_768));
  for (const pcm of [noise, extremes, Int16Array.of(1, -1), tone(1)]) {
    const { pcm: heard } = await decoded("flac", await encoded("flac", pcm, 7001));
    expect(heard.length).toBe(pcm.length);
    // The decoder's samples are floats, whose rounding is off by one.
    expect(pcm.every((sample, at) => Math.abs(sample - (heard[at] ?? 0)) <= 1)).toBe(true);
  }
}, 30_000);
