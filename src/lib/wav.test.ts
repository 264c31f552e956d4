import { expect, test } from "bun:test";
import { floatsOf, pcmFrom, readWav, wav, wavHeader } from "./wav.ts";

const pcm = Int16Array.from([0, 1, -1, 32_767, -32_768]);

test("a written file is read back", () => {
  expect(readWav(wav(pcm, 16_000))).toEqual({ pcm, rate: 16_000 });
});

test("a stream of unknown length ends where it ends", () => {
  const bytes = Buffer.concat([wavHeader(24_000), wav(pcm, 24_000).subarray(44)]);
  expect(readWav(bytes)).toEqual({ pcm, rate: 24_000 });
});

test("floats are read, too loud ones are clipped, and channels are averaged", () => {
  const floats = new Float32Array([0.5, -0.5, 2, 2]);
  const bytes = Buffer.concat([wavHeader(8000, 16), new Uint8Array(floats.buffer)]);
  bytes.writeUInt16LE(3, 20);
  bytes.writeUInt16LE(32, 34);
  expect([...readWav(bytes).pcm]).toEqual([16_384, -16_384, 32_767, 32_767]);
  bytes.writeUInt16LE(2, 22);
  expect([...readWav(bytes).pcm]).toEqual([0, 32_767]);
});

test("samples stay the same on the way to floats and back", () => {
  expect(pcmFrom(floatsOf(pcm))).toEqual(pcm);
});

test("a file of another format is refused with the reason", () => {
  expect(() => readWav(new Uint8Array(100))).toThrow("not a WAV file");
  expect(() => readWav(wavHeader(16_000).subarray(0, 36))).toThrow("no data");
  const bytes = Buffer.from(wav(pcm, 16_000));
  bytes.writeUInt16LE(8, 34);
  expect(() => readWav(bytes)).toThrow("neither 16-bit PCM nor 32-bit float");
});
