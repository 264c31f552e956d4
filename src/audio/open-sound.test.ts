import { describe, expect, test } from "bun:test";
import { type Encoding, encode } from "../../test/audio/encode.ts";
import { resample } from "../../test/audio/resample.ts";
import { type Audio, pcmBytes, wav, wavHeader } from "../lib/wav.ts";
import { openSound } from "./open-sound.ts";
import { NotPlayable } from "./sound-decoder.ts";

const RATE = 24_000;

/** Something like a vowel that swells and fades, without a click anywhere. */
function voice(seconds = 0.4): Int16Array {
  const pcm = new Int16Array(RATE * seconds);
  for (let i = 0; i < pcm.length; i++) {
    const time = i / RATE;
    const swell = Math.sin((Math.PI * i) / pcm.length);
    const pitch = 2 * Math.PI * (180 + 60 * time);
    pcm[i] = 9000 * swell * (Math.sin(pitch * time) + 0.4 * Math.sin(3.1 * pitch * time));
  }
  return pcm;
}

const VOICE = voice();

/** Numbers that look random and are the same in each run (mulberry32). */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

async function* parts(bytes: Uint8Array, nextLength: () => number) {
  for (let at = 0; at < bytes.length; ) {
    const length = Math.max(1, nextLength());
    yield bytes.slice(at, at + length);
    at += length;
  }
}

const whole = (bytes: Uint8Array) => parts(bytes, () => bytes.length);

/** All of a sound at 24 kHz. */
async function heard(body: AsyncIterable<Uint8Array>, type?: string) {
  const { format, pieces } = await openSound(body, type);
  const sounds: Audio[] = [];
  for await (const piece of pieces) sounds.push(piece);
  const rates = new Set(sounds.map(({ rate }) => rate));
  const rate = [...rates][0] ?? RATE;
  const pcm = Int16Array.from(sounds.flatMap((sound) => [...sound.pcm]));
  return { format, rates, pcm: resample(pcm, rate, RATE) };
}

/** The likeness of two sounds, 1 for equal ones, with the second up to `maxLag` samples later. */
function likeness(a: Int16Array, b: Int16Array, maxLag: number): number {
  let best = 0;
  for (let lag = 0; lag <= maxLag; lag++) {
    let [both, left, right] = [0, 0, 0];
    for (let i = 0; i < a.length; i += 5) {
      const [x, y] = [a[i] ?? 0, b[i + lag] ?? 0];
      both += x * y;
      left += x * x;
      right += y * y;
    }
    best = Math.max(best, both / Math.sqrt(left * right || 1));
  }
  return best;
}

/** The largest step between two samples. */
function largestStep(pcm: Int16Array): number {
  return pcm.reduce((most, value, at) => Math.max(most, Math.abs(value - (pcm[at - 1] ?? 0))), 0);
}

const wavOf = (codec: string): Encoding => ({ codec, container: "wav" });
const LOSSLESS: Record<string, Encoding> = {
  "8-bit WAV": wavOf("pcm_u8"),
  "16-bit WAV": wavOf("pcm_s16le"),
  "24-bit WAV": wavOf("pcm_s24le"),
  "32-bit WAV": wavOf("pcm_s32le"),
  "float WAV": wavOf("pcm_f32le"),
  "double WAV": wavOf("pcm_f64le"),
  "A-law WAV": wavOf("pcm_alaw"),
  "µ-law WAV": wavOf("pcm_mulaw"),
  RF64: { codec: "pcm_s16le", container: "wav", options: ["-rf64", "always"] },
  AIFF: { codec: "pcm_s16be", container: "aiff" },
  AU: { codec: "pcm_s16be", container: "au" },
  FLAC: { codec: "flac", container: "flac" },
  "Ogg FLAC": { codec: "flac", container: "ogg" },
};
const LOSSY: Record<string, Encoding> = {
  MP3: { codec: "libmp3lame", container: "mp3", options: ["-b:a", "64k"] },
  "MP3 without tags": {
    codec: "libmp3lame",
    container: "mp3",
    options: ["-id3v2_version", "0", "-write_xing", "0"],
  },
  "Ogg Opus": { codec: "libopus", container: "ogg", options: ["-b:a", "48k"] },
  "WebM Opus": { codec: "libopus", container: "webm", options: ["-b:a", "48k"] },
  "Ogg Vorbis": { codec: "libvorbis", container: "ogg", options: ["-page_duration", "100000"] },
};
const OPUS_RATES = [16_000, 24_000, 48_000];
const RATES = [16_000, 22_050, 24_000, 44_100, 48_000];

describe("any format, rate and number of channels, cut anywhere, is the sound that was sent", () => {
  const random = randomNumbers(9);
  const pick = <T>(list: readonly T[]) => list[random(list.length)] as T;
  for (const [name, encoding] of Object.entries({ ...LOSSLESS, ...LOSSY })) {
    for (let round = 0; round < 2; round++) {
      const rate = pick(encoding.codec === "libopus" ? OPUS_RATES : RATES);
      const channels = 1 + random(2);
      const longest = pick([3, 200, 5000]);
      test(`${name}, ${rate} Hz, ${channels} channels, parts of up to ${longest} bytes`, async () => {
        const bytes = encode(VOICE, RATE, { ...encoding, rate, channels });
        const { pcm } = await heard(parts(bytes, () => random(longest)));
        const isLossy = name in LOSSY;
        // Encoders that cannot say how much they added leave some silence.
        const added = pcm.length - VOICE.length;
        expect(added).toBeGreaterThan(-RATE * 0.004);
        expect(added).toBeLessThan(RATE * (isLossy ? 0.15 : 0.004));
        expect(likeness(VOICE, pcm, isLossy ? RATE * 0.08 : 20)).toBeGreaterThan(0.99);
        expect(largestStep(pcm)).toBeLessThan(largestStep(VOICE) * (isLossy ? 1.4 : 1.15) + 300);
      });
    }
  }
});

test("files in a row are one sound, whatever their headers say", async () => {
  const streamed = Buffer.concat([wavHeader(RATE), pcmBytes(VOICE)]);
  const tooShort = Buffer.concat([wavHeader(RATE, 4000), pcmBytes(VOICE)]);
  const trailer = Buffer.concat([wav(VOICE, RATE), Buffer.from("LIST\x04\0\0\0INFO", "latin1")]);
  const zero = Buffer.concat([wavHeader(RATE, 0), pcmBytes(VOICE)]);
  const random = randomNumbers(4);
  for (const first of [streamed, tooShort, trailer, zero]) {
    const all = Buffer.concat([first, streamed, wav(VOICE, RATE)]);
    const { pcm } = await heard(parts(all, () => random(90)));
    expect([...pcm]).toEqual([...VOICE, ...VOICE, ...VOICE]);
  }
  // A sound of an odd length is followed by a zero, which is no sample.
  const odd = encode(voice(0.2).subarray(0, 4799), RATE, wavOf("pcm_u8"));
  const { pcm } = await heard(whole(Buffer.concat([odd, odd])));
  expect([pcm.length, largestStep(pcm) < 6000]).toEqual([9598, true]);
  for (const name of ["MP3", "Ogg Opus", "Ogg Vorbis", "FLAC"]) {
    const one = encode(VOICE, RATE, { ...LOSSLESS, ...LOSSY }[name] as Encoding);
    const { pcm } = await heard(parts(Buffer.concat([one, one]), () => random(3000)));
    expect(Math.abs(pcm.length - 2 * VOICE.length)).toBeLessThan(RATE * 0.01);
    const second = pcm.slice(VOICE.length - RATE * 0.005);
    expect(likeness(VOICE, second, RATE * 0.01)).toBeGreaterThan(0.98);
  }
});

test("sound comes before the answer has ended", async () => {
  const long = voice(6);
  for (const [name, encoding] of Object.entries({ ...LOSSLESS, ...LOSSY })) {
    const bytes = encode(long, RATE, encoding);
    let sent = 0;
    const counted = async function* () {
      for await (const part of parts(bytes, () => 256)) {
        sent += part.length;
        yield part;
      }
    };
    const { pieces } = await openSound(counted());
    await pieces.next();
    expect(`${name}: ${sent < bytes.length / 2}`).toBe(`${name}: true`);
    await pieces.return();
  }
});

test("Opus is heard before its first page, which may hold a second, is complete", async () => {
  const bytes = encode(VOICE, RATE, LOSSY["Ogg Opus"] as Encoding);
  const pages = bytes.reduce((count, _, at) => {
    return count + Number(Buffer.from(bytes.slice(at, at + 4)).toString("latin1") === "OggS");
  }, 0);
  // Of the two headers and of all the sound.
  expect(pages).toBe(3);
  let sent = 0;
  const counted = async function* () {
    for await (const part of parts(bytes, () => 100)) {
      sent += part.length;
      yield part;
    }
  };
  const { pieces } = await openSound(counted());
  await pieces.next();
  expect(sent).toBeLessThan(bytes.length / 2);
  await pieces.return();
});

describe("bare samples", () => {
  const bytes = pcmBytes(VOICE);

  test("are cut between the bytes of a sample, and half of one at the end is dropped", async () => {
    const odd = Buffer.concat([bytes, new Uint8Array([7])]);
    expect(
      (
        await heard(
          parts(odd, () => 333),
          "audio/pcm",
        )
      ).pcm,
    ).toEqual(VOICE);
    expect(
      (
        await heard(
          parts(odd, () => 1),
          "application/octet-stream",
        )
      ).pcm,
    ).toEqual(VOICE);
  });

  test("have the rate and the channels of their content type", async () => {
    const half = Int16Array.from(VOICE.filter((_, at) => at % 2 === 0));
    const stereo = Int16Array.from([...half].flatMap((sample) => [sample, sample]));
    const { pieces } = await openSound(
      whole(pcmBytes(stereo)),
      'audio/pcm; rate="12000"; channels=2',
    );
    const { value } = await pieces.next();
    expect(value?.rate).toBe(12_000);
    expect([...(value?.pcm ?? [])]).toEqual([...half.subarray(0, value?.pcm.length)]);
    await pieces.return();
  });

  test("are read in either order of bytes as audio/L16", async () => {
    const swapped = Buffer.from(bytes).swap16();
    for (const body of [bytes, swapped]) {
      const { pcm } = await heard(whole(body), "audio/L16;rate=24000");
      expect(pcm).toEqual(VOICE);
    }
  });

  test("may be a loud, high tone", async () => {
    for (const hz of [300, 3000, 5000, 8000]) {
      const loud = VOICE.map((_, at) => 32_000 * Math.sin((2 * Math.PI * hz * at) / RATE));
      expect((await heard(whole(pcmBytes(loud)), "application/octet-stream")).pcm).toEqual(loud);
    }
  });

  test("may begin like another format", async () => {
    for (const begin of ["\xff\xfb\x90\x64", "\xff\xf1\x50\x80", "ID", "{", "BM", "\0\0\0\0"]) {
      const body = Buffer.concat([Buffer.from(begin.padEnd(4, "\0"), "latin1"), bytes]);
      const { format, pcm } = await heard(whole(body), "audio/pcm");
      expect([format, pcm.length]).toEqual(["PCM", VOICE.length + 2]);
    }
  });
});

test("a content type that is wrong changes nothing", async () => {
  const mp3 = encode(VOICE, RATE, LOSSY["MP3"] as Encoding);
  for (const type of ["audio/pcm", "audio/wav", "application/json", "text/html", ""]) {
    expect((await heard(whole(mp3), type)).format).toBe("MP3");
    expect((await heard(whole(wav(VOICE, RATE)), type)).pcm).toEqual(VOICE);
  }
  for (const type of ["audio/mpeg", "audio/wav", "text/plain"]) {
    expect((await heard(whole(pcmBytes(VOICE)), type)).pcm).toEqual(VOICE);
  }
});

test("sound in JSON and in server-sent events is played", async () => {
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
  const json = JSON.stringify({ request: "r1", audio: base64(wav(VOICE, RATE)) }, null, 2);
  expect((await heard(parts(Buffer.from(json), () => 1000))).pcm).toEqual(VOICE);
  const bytes = pcmBytes(VOICE);
  const events = [0, 1, 2, 3].map((quarter) => {
    const size = bytes.length / 4;
    const audio = base64(bytes.slice(quarter * size, (quarter + 1) * size));
    return `event: speech.audio.delta\r\ndata: ${JSON.stringify({ type: "speech.audio.delta", audio })}\r\n\r\n`;
  });
  const done = `data: {"type":"speech.audio.done","usage":{"total_tokens":1}}\n\ndata: [DONE]\n\n`;
  const sse = Buffer.from([...events, done].join(""));
  expect(
    (
      await heard(
        parts(sse, () => 700),
        "text/event-stream",
      )
    ).pcm,
  ).toEqual(VOICE);
});

describe("what is no sound is refused by its name", () => {
  const aac = encode(VOICE, RATE, { codec: "aac", container: "adts" });
  const noise = Uint8Array.from({ length: 5000 }, (_, at) => randomNumbers(at)(256));
  const refused: [name: string, body: string | Uint8Array, reason: string, what?: string][] = [
    ["an empty body", "", "empty"],
    ["AAC", aac, "format", "AAC"],
    ["MP4", encode(VOICE, RATE, { codec: "aac", container: "mp4" }), "format", "MP4"],
    ["HTML", "<!DOCTYPE html><html><body>502 Bad Gateway</body></html>", "format", "HTML"],
    ["XML", '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "format", "XML"],
    ["text", "Internal server error: no such voice", "format", "text"],
    ["a short text", "ok", "format", "text"],
    ["JSON", '{"audio_url": null, "data": {"status": "queued"}}', "format", "JSON"],
    ["an error in JSON", '{"error":{"message":"voice not found"}}', "error_body"],
    ["FastAPI's error", '{\n  "detail": "Voice not found"\n}\n', "error_body"],
    ["an error among events", 'data: {"type":"error","error":{"code":1}}\n\n', "error_body"],
    ["bytes of no known format", noise, "format", "an unknown format"],
    ["an image", Buffer.from("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "latin1"), "format", "PNG"],
  ];
  for (const [name, body, reason, what] of refused) {
    test(name, async () => {
      const bytes = typeof body === "string" ? Buffer.from(body) : body;
      for (const length of [bytes.length, 7]) {
        const failure = await heard(
          parts(bytes, () => length),
          "audio/pcm",
        ).catch((e) => e);
        expect(failure).toBeInstanceOf(NotPlayable);
        expect([failure.reason, failure.what]).toEqual([reason, what]);
      }
    });
  }
});
