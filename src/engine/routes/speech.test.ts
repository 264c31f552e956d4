import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import OpenAI from "openai";
import pino from "pino";
import { testModels } from "../../../scripts/test-models.ts";
import { serveFakes, TTS } from "../../../test/engine-models.ts";
import { openSound } from "../../audio/open-sound.ts";
import { readEngineSettings } from "../../config.ts";
import type { LocalTtsModel } from "../../domain/model.ts";
import { type EngineServer, serveModels } from "../server.ts";

let voice: LocalTtsModel;
let server: EngineServer;
let openai: OpenAI;

beforeAll(async () => {
  voice = (await testModels()).tts;
  server = serveModels({
    host: "127.0.0.1",
    port: 0,
    apiKey: "sesame",
    supervised: false,
    models: [voice],
    settings: readEngineSettings({}),
    vadModel: async () => "",
    logger: pino({ level: "silent" }),
  });
  openai = clientOf(server);
}, 120_000);
afterAll(() => server[Symbol.asyncDispose]());

function clientOf({ url }: EngineServer): OpenAI {
  return new OpenAI({ baseURL: new URL("/v1", url).href, apiKey: "sesame", maxRetries: 0 });
}

type Speech = Partial<OpenAI.Audio.SpeechCreateParams> & { language?: string };

function speak(input: string, options: Speech = {}) {
  const request = { model: voice.id, voice: "joe", input, ...options };
  return openai.audio.speech.create(request as OpenAI.Audio.SpeechCreateParams);
}

async function* chunksOf(bytes: Uint8Array) {
  yield bytes;
}

/** What a sound is, how long it is in seconds and how loud at most. */
async function heard(bytes: Uint8Array, type = "") {
  const { format, pieces } = await openSound(chunksOf(bytes), type);
  let [seconds, peak] = [0, 0];
  for await (const { pcm, rate } of pieces) {
    seconds += pcm.length / rate;
    peak = pcm.reduce((most, sample) => Math.max(most, Math.abs(sample)), peak);
  }
  return { format, seconds, peak };
}

async function spoken(input: string, options: Speech = {}) {
  const response = await speak(input, options);
  const type = response.headers.get("content-type") ?? "";
  return { type, ...(await heard(await response.bytes(), type)) };
}

describe("a text is spoken", () => {
  const text = "The ship left the harbour. Nobody saw it.";
  test.each([
    ["mp3", "audio/mpeg", "MP3"],
    ["opus", "audio/ogg", "Ogg"],
    ["flac", "audio/flac", "FLAC"],
    ["wav", "audio/wav", "WAV"],
    ["pcm", "audio/pcm", "PCM"],
  ] as const)("as %s", async (response_format, type, format) => {
    const sound = await spoken(text, { response_format });
    expect(sound).toMatchObject({ type });
    expect(sound.format).toContain(format);
    expect(sound.peak).toBeGreaterThan(3000);
    expect(sound.seconds).toBeGreaterThan(1.5);
    expect(sound.seconds).toBeLessThan(6);
  });

  test("as MP3 where no format is asked for, or null", async () => {
    expect((await spoken("Yes, sir.")).type).toBe("audio/mpeg");
    const nothing = { response_format: null, speed: null, instructions: null } as object;
    expect((await spoken("Yes, sir.", nothing)).type).toBe("audio/mpeg");
  });

  test("faster and slower, with instructions that no voice here follows", async () => {
    const [slow, fast] = [
      await spoken(text, { speed: 0.25, instructions: "Whisper." }),
      await spoken(text, { speed: 4 }),
    ];
    expect(slow.seconds).toBeGreaterThan(4 * fast.seconds);
  });

  test("to its end, whatever characters it has", async () => {
    const plain = await spoken("We sailed to the island in the morning.");
    for (const mark of ["\u0000", "\ud800", "\u0007", "\ufffe", "\u202e"]) {
      const marked = await spoken(`We sailed ${mark}to the island${mark} in the morning.`);
      expect(marked.seconds).toBeGreaterThan(plain.seconds * 0.7);
    }
  });

  test("as nothing where it has no word", async () => {
    expect((await (await speak("…!", { response_format: "wav" })).bytes()).length).toBe(44);
  });
});

test("events carry the sound, and end with one that says so", async () => {
  const response = await speak("The ship left. Nobody saw it.", {
    stream_format: "sse",
    response_format: "wav",
  });
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  const events = (await response.text())
    .split("\n\n")
    .filter((block) => block !== "")
    .map((block) => JSON.parse(block.replace(/^event: .*\ndata: /, "")));
  expect(events.at(-1)).toMatchObject({ type: "speech.audio.done", usage: { total_tokens: 0 } });
  const deltas = events.slice(0, -1);
  expect(deltas.length).toBeGreaterThan(2);
  expect(new Set(deltas.map(({ type }) => type))).toEqual(new Set(["speech.audio.delta"]));
  const sound = Buffer.concat(deltas.map(({ audio }) => Buffer.from(audio, "base64")));
  expect((await heard(sound)).seconds).toBeGreaterThan(1);
});

test("the speakers of each voice are listed", async () => {
  const ask = (query = "") =>
    fetch(new URL(`/v1/audio/voices${query}`, server.url), {
      headers: { Authorization: "Bearer sesame" },
    }).then((response) => response.json());
  const joe = { object: "voice", id: "joe", name: "Joe", language: "en-US", gender: null };
  const listed = [{ ...joe, model: voice.id }];
  expect(await ask()).toEqual({ object: "list", data: listed, voices: listed });
  expect(await ask(`?model=${voice.id}`)).toMatchObject({ voices: listed });
  expect(await ask("?model=other")).toMatchObject({ voices: [] });
});

test.each(["joe", "Joe", "0", "alloy", "nova", "", 0, { id: "joe" }, null])(
  "the voice %j is a speaker",
  async (name) => {
    expect((await spoken("Yes, sir.", { voice: name as string })).peak).toBeGreaterThan(1000);
  },
);

describe("what is not possible is refused before a sound", () => {
  test.each([
    ["a speaker that there is not", { voice: "bella" }, "voice", /"bella".*There are: joe\./],
    ["a number beyond the speakers", { voice: "7" }, "voice", /There are: joe\./],
    ["AAC", { response_format: "aac" }, "response_format", /Ask for mp3 or opus/],
    ["a format that there is not", { response_format: "8svx" }, "response_format", /mp3, opus/],
    ["another stream", { stream_format: "rtp" }, "stream_format", /audio or sse/],
    ["a speed beyond OpenAI's", { speed: 5 }, "speed", /4/],
    ["a language that is none", { language: "!" }, "language", /en-GB/],
  ] as const)("%s", async (_, options, param, message) => {
    const error = await speak("Hello.", options as Speech).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OpenAI.BadRequestError);
    expect(error).toMatchObject({ param });
    expect(String(error)).toMatch(message);
  });
});

test("the head is there before the first piece is made", async () => {
  const made = Promise.withResolvers<void>();
  await using slow = serveFakes({
    load: {
      tts: async () => ({
        async *speak() {
          await made.promise;
          yield Int16Array.of(1000, 2000);
        },
      }),
    },
  });
  const response = await clientOf(slow).audio.speech.create({
    model: TTS.id,
    voice: "",
    input: "Hello.",
    response_format: "pcm",
  });
  expect(response.status).toBe(200);
  made.resolve();
  expect(new Int16Array(await response.arrayBuffer())).toEqual(Int16Array.of(0, 1000, 2000));
});
