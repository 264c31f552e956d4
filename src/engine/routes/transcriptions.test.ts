import { describe, expect, test } from "bun:test";
import OpenAI, { toFile } from "openai";
import { type Encoding, encode } from "../../../test/audio/encode.ts";
import {
  audioOf,
  countingRecogniser,
  silence,
  simpleAudioTools,
  tone,
} from "../../../test/engine-audio.ts";
import { STT, serveFakes } from "../../../test/engine-models.ts";
import { pcmFrom, wav, wavHeader } from "../../lib/wav.ts";
import type { Recogniser } from "../recogniser.ts";

const RATE = 24_000;
/** Two seconds of sound, a pause, and three more. */
const SOUND = audioOf(
  silence(1, RATE),
  tone(2, RATE),
  silence(2, RATE),
  tone(3, RATE),
  silence(1, RATE),
);
const PCM = pcmFrom(SOUND);
const WAV = wav(PCM, RATE);

function serve(recogniser: Recogniser = countingRecogniser()) {
  return serveFakes({ load: { stt: async () => recogniser }, audioTools: simpleAudioTools() });
}

function openAi({ url }: { url: URL }): OpenAI {
  return new OpenAI({ baseURL: new URL("/v1", url).href, apiKey: "sesame", maxRetries: 0 });
}

async function transcribe(
  file: Uint8Array,
  fields: Record<string, string> = {},
  recogniser?: Recogniser,
) {
  await using server = serve(recogniser);
  const form = new FormData();
  form.append("model", STT.id);
  form.append("file", new File([Uint8Array.from(file)], "sound"));
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  const response = await fetch(new URL("/v1/audio/transcriptions", server.url), {
    method: "POST",
    headers: { Authorization: "Bearer sesame" },
    body: form,
  });
  const text = await response.text();
  return { status: response.status, text, type: response.headers.get("content-type") };
}

const FORMATS: [string, Encoding][] = [
  ["mp3", { codec: "libmp3lame", container: "mp3" }],
  ["flac", { codec: "flac", container: "flac" }],
  ["Opus in Ogg", { codec: "libopus", container: "ogg" }],
  ["Vorbis in Ogg", { codec: "libvorbis", container: "ogg" }],
  ["Opus in WebM", { codec: "libopus", container: "webm" }],
  ["WAV of 8 bits", { codec: "pcm_u8", container: "wav" }],
  ["WAV of 24 bits in stereo", { codec: "pcm_s24le", container: "wav", channels: 2 }],
  ["WAV of 32 bits", { codec: "pcm_s32le", container: "wav", rate: 96_000 }],
  ["WAV of floats", { codec: "pcm_f32le", container: "wav", rate: 8000 }],
  ["WAV of µ-law", { codec: "pcm_mulaw", container: "wav", rate: 8000 }],
  ["WAV of six channels", { codec: "pcm_s16le", container: "wav", channels: 6 }],
];

describe("a recording is read", () => {
  test.each(FORMATS)("%s", async (_, encoding) => {
    const { text } = await transcribe(encode(PCM, RATE, encoding));
    expect(JSON.parse(text)).toMatchObject({ text: "one two one two three" });
  });

  test("WAV that was streamed, with sizes of zero or of all ones", async () => {
    for (const size of [0, 0xffff_ffff]) {
      const streamed = Buffer.concat([wavHeader(RATE), WAV.subarray(44)]);
      streamed.writeUInt32LE(size, 4);
      streamed.writeUInt32LE(size, 40);
      const { text } = await transcribe(streamed);
      expect(JSON.parse(text).text).toBe("one two one two three");
    }
  });
});

describe("a file is refused with what is wrong", () => {
  const withRate = (rate: number) => {
    const bytes = Buffer.from(WAV);
    bytes.writeUInt32LE(rate, 24);
    return bytes;
  };
  const aac = { codec: "aac", container: "ipod" };
  test.each<[string, Uint8Array, string]>([
    ["a rate of 1 Hz", withRate(1), "1 Hz"],
    ["a rate of 3,999 Hz", withRate(3999), "3999 samples a second"],
    ["a rate above 2³¹", withRate(0xffff_fff0), "Hz"],
    ["AAC in MP4", encode(PCM, RATE, aac), "ffmpeg -i"],
    ["AAC", encode(PCM, RATE, { codec: "aac", container: "adts" }), "ffmpeg -i"],
    [
      "text",
      Buffer.from("This is no sound at all, only a text that somebody wrote."),
      "file: it is",
    ],
    [
      "random bytes",
      Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * i * 7919) % 251)),
      "file: it is",
    ],
    ["nothing", new Uint8Array(), "is empty"],
    ["a header alone", wavHeader(RATE), "has no sound"],
  ])("%s", async (_, file, why) => {
    const { status, text } = await transcribe(file);
    expect({ status, error: JSON.parse(text).error }).toMatchObject({
      status: 400,
      error: {
        param: "file",
        type: "invalid_request_error",
        message: expect.stringContaining(why),
      },
    });
  });
});

describe("OpenAI's own client gets the transcript as", () => {
  test("subtitles whose times are those of speech", async () => {
    await using server = serve();
    const file = await toFile(WAV, "speech.wav");
    const request = { model: STT.id, file } as const;
    const client = openAi(server);
    const srt: unknown = await client.audio.transcriptions.create({
      ...request,
      response_format: "srt",
    });
    expect(String(srt)).toMatch(
      /^1\n00:00:01,000 --> 00:00:03,000\none two\n\n2\n00:00:05,000 --> 00:00:08,000\none two three\n\n$/,
    );
    const vtt: unknown = await client.audio.transcriptions.create({
      ...request,
      response_format: "vtt",
    });
    expect(String(vtt)).toMatch(/^WEBVTT\n\n00:00:01\.000 --> 00:00:03\.000\none two\n\n/);
  });

  test("a stream of what is certain, and the whole at its end", async () => {
    await using server = serve();
    const stream = await openAi(server).audio.transcriptions.create({
      model: STT.id,
      file: await toFile(WAV, "speech.wav"),
      stream: true,
    });
    const events: unknown[] = [];
    for await (const event of stream) events.push(event);
    expect(events).toEqual([
      { type: "transcript.text.delta", delta: "one two" },
      { type: "transcript.text.delta", delta: " one two three" },
      {
        type: "transcript.text.done",
        text: "one two one two three",
        usage: { type: "duration", seconds: 9 },
      },
    ]);
  });

  test("JSON with the language, the segments and the words that are asked for", async () => {
    const words = [{ word: "one", start: 0.5, end: 1 }];
    const timing = countingRecogniser({
      timesWords: true,
      listen: () => ({
        revisable: true,
        push: () => {},
        ready: async () => {},
        interim: async () => undefined,
        take: async () => [],
        finish: async () => [{ text: "one", start: 0.5, end: 1, words, language: "de" }],
        [Symbol.dispose]: () => {},
      }),
    });
    await using server = serve(timing);
    const verbose = async (granularities: ("word" | "segment")[]) =>
      openAi(server).audio.transcriptions.create({
        model: STT.id,
        file: await toFile(WAV, "speech.wav"),
        response_format: "verbose_json",
        timestamp_granularities: granularities,
      });
    const both = await verbose(["word", "segment"]);
    expect(both).toMatchObject({ language: "german", duration: 9, text: "one", words });
    expect(both.segments).toMatchObject([{ id: 0, start: 0.5, end: 1, text: "one" }]);
    expect((await verbose(["word"])).segments).toBeUndefined();
    expect((await verbose(["segment"])).words).toBeUndefined();
  });
});

describe("a field is refused", () => {
  const cases: [Record<string, string>, string][] = [
    [
      { response_format: "verbose_json", "timestamp_granularities[]": "word" },
      "does not tell when",
    ],
    [{ "timestamp_granularities[]": "word" }, "verbose_json"],
    [{ response_format: "verbose_json", "timestamp_granularities[]": "letter" }, "word or segment"],
    [{ response_format: "srt", stream: "true" }, "must be json"],
    [{ response_format: "diarized_json" }, "must be one of"],
    [{ stream: "yes" }, "true or false"],
    [{ temperature: "2" }, "temperature"],
    [{ "include[]": "logprobs" }, "tells no probabilities"],
    [{ language: "klingonese" }, "is not the code of a language"],
    [{ language: "tlh" }, "does not know"],
  ];
  test.each(cases)("%j", async (fields, why) => {
    const { status, text } = await transcribe(WAV, fields);
    expect({ status, text }).toEqual({ status: 400, text: expect.stringContaining(why) });
  });

  test("but not what changes nothing, or what the model knows", async () => {
    const fields = {
      prompt: "Ada",
      temperature: "0.2",
      language: "de-AT",
      chunking_strategy: "auto",
    };
    const { text } = await transcribe(WAV, { ...fields, response_format: "verbose_json" });
    expect(JSON.parse(text)).toMatchObject({ language: "german" });
  });
});
