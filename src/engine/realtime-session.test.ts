import { afterEach, describe, expect, test } from "bun:test";
import pino from "pino";
import {
  audioOf,
  countingRecogniser,
  silence,
  simpleAudioTools,
  tone,
} from "../../test/engine-audio.ts";
import { fakeModels, STT } from "../../test/engine-models.ts";
import { Failure } from "../errors.ts";
import { pcmBytes, pcmFrom } from "../lib/wav.ts";
import { RealtimeSession } from "./realtime-session.ts";

type Event = { type: string } & Record<string, unknown>;

const RATE = 16_000;
const COMPLETED = "conversation.item.input_audio_transcription.completed";
const opened: Client[] = [];
afterEach(() => {
  for (const client of opened.splice(0)) client.session.close();
});

/** A client of a session whose audio is at 16 kHz. */
class Client {
  readonly events: Event[] = [];
  readonly session: RealtimeSession;
  closedFor: string | undefined;
  #changed = Promise.withResolvers<void>();
  #updates = 0;

  constructor(stt = async () => countingRecogniser()) {
    this.session = new RealtimeSession(
      {
        models: fakeModels({ load: { stt } }),
        audioTools: async () => simpleAudioTools(),
        logger: pino({ level: "silent" }),
      },
      {
        send: (text) => {
          this.events.push(JSON.parse(text));
          this.#changed.resolve();
          this.#changed = Promise.withResolvers<void>();
        },
        end: (reason) => {
          this.closedFor = reason;
        },
      },
      { model: undefined, client: undefined },
    );
    opened.push(this);
    this.update({ turn_detection: { type: "server_vad", silence_duration_ms: 400 } });
  }

  update(input: object): void {
    const format = { type: "audio/pcm", rate: RATE };
    this.send({
      type: "session.update",
      session: { type: "transcription", audio: { input: { format, ...input } } },
    });
  }

  send(event: Event): void {
    if (event.type === "session.update") this.#updates += 1;
    this.session.receive(JSON.stringify(event));
  }

  append(audio: Float32Array): void {
    this.appendBytes(pcmBytes(pcmFrom(audio)));
  }

  appendBytes(bytes: Uint8Array): void {
    const audio = Buffer.from(bytes).toString("base64");
    this.send({ type: "input_audio_buffer.append", audio });
  }

  commit(): void {
    this.send({ type: "input_audio_buffer.commit" });
  }

  of(type: string): Event[] {
    return this.events.filter((event) => event.type === type);
  }

  /** The first `count` events of a type, once they are there. */
  async until(type: string, count = 1): Promise<Event[]> {
    while (this.of(type).length < count) await this.#changed.promise;
    return this.of(type);
  }

  /** Once everything that was sent is processed. */
  async settled(): Promise<void> {
    this.send({ type: "session.update", session: { type: "transcription" } });
    await this.until("session.updated", this.#updates);
  }
}

const TWO_UTTERANCES = audioOf(silence(1), tone(2), silence(2), tone(3), silence(1));

describe("audio with several utterances", () => {
  for (const partS of [0.02, 0.1, 60]) {
    test(`is one item for each of them, in appends of ${partS} s`, async () => {
      const client = new Client();
      const part = partS * RATE;
      for (let at = 0; at < TWO_UTTERANCES.length; at += part) {
        client.append(TWO_UTTERANCES.subarray(at, at + part));
      }
      const completed = await client.until(COMPLETED, 2);
      expect(completed.map(({ transcript }) => transcript)).toEqual(["one two", "one two three"]);
      const started = client.of("input_audio_buffer.speech_started");
      const stopped = client.of("input_audio_buffer.speech_stopped");
      const committed = client.of("input_audio_buffer.committed");
      const ids = completed.map(({ item_id }) => item_id);
      for (const list of [started, stopped, committed]) {
        expect(list.map(({ item_id }) => item_id)).toEqual(ids);
      }
      // Each begins 300 ms before the speech, and ends when silence is certain.
      expect(started.map(({ audio_start_ms }) => audio_start_ms)).toEqual([700, 4700]);
      expect(stopped.map(({ audio_end_ms }) => audio_end_ms)).toEqual([3400, 8400]);
      expect(committed.map(({ previous_item_id }) => previous_item_id)).toEqual([null, ids[0]]);
      expect(client.of("error")).toEqual([]);
    });
  }

  test("is announced as items of the conversation", async () => {
    const client = new Client();
    client.append(TWO_UTTERANCES);
    const [{ item_id: id } = { item_id: "" }] = await client.until(COMPLETED);
    const item = { id, type: "message", role: "user", status: "completed" };
    expect(client.of("conversation.item.added")[0]).toMatchObject({ previous_item_id: null, item });
    expect(client.of("conversation.item.done")[0]).toMatchObject({ item });
    const types = client.events.map(({ type }) => type);
    const order = ["input_audio_buffer.committed", "conversation.item.added", COMPLETED];
    expect(order.map((type) => types.indexOf(type))).toEqual(
      order.map((type) => types.indexOf(type)).toSorted((a, b) => a - b),
    );
  });
});

test("prefix_padding_ms is the audio that belongs to speech before its beginning", async () => {
  for (const [prefix_padding_ms, start] of [
    [0, 1000],
    [500, 500],
    [2000, 0],
  ] as const) {
    const client = new Client();
    client.update({ turn_detection: { type: "server_vad", prefix_padding_ms } });
    client.append(audioOf(silence(1), tone(1)));
    const [started] = await client.until("input_audio_buffer.speech_started");
    expect(started?.["audio_start_ms"]).toBe(start);
    const session = client.of("session.updated").at(-1)?.["session"];
    expect(session).toMatchObject({ audio: { input: { turn_detection: { prefix_padding_ms } } } });
  }
});

test("clear forgets the speech so far", async () => {
  const client = new Client();
  client.append(tone(2));
  await client.until("input_audio_buffer.speech_started");
  client.send({ type: "input_audio_buffer.clear" });
  client.append(audioOf(silence(2), tone(3), silence(1)));
  const [completed] = await client.until(COMPLETED);
  expect(completed?.["transcript"]).toBe("one two three");
  expect(client.of("input_audio_buffer.speech_stopped").length).toBe(1);
  const starts = client.of("input_audio_buffer.speech_started");
  expect(starts.map(({ audio_start_ms }) => audio_start_ms)).toEqual([0, 3700]);
});

describe("settings that change in the middle of speech", () => {
  test("do not let speech begin twice", async () => {
    const client = new Client();
    client.append(tone(1));
    for (const threshold of [0.4, 0.6]) {
      client.update({ turn_detection: { type: "server_vad", threshold } });
      client.append(tone(1));
    }
    client.append(silence(1));
    const [completed] = await client.until(COMPLETED);
    expect(completed?.["transcript"]).toBe("one two three");
    expect(client.of("input_audio_buffer.speech_started").length).toBe(1);
  });

  test("announce it where turns are wanted from now on, and not where they are not", async () => {
    const client = new Client();
    client.update({ turn_detection: null });
    client.append(tone(1));
    await client.settled();
    expect(client.of("input_audio_buffer.speech_started")).toEqual([]);
    client.update({ turn_detection: { type: "server_vad" } });
    client.append(audioOf(tone(1), silence(1)));
    await client.until(COMPLETED);
    expect(client.of("input_audio_buffer.speech_started").length).toBe(1);
    client.append(tone(1));
    client.update({ turn_detection: null });
    client.append(silence(1));
    await client.settled();
    expect(client.of("input_audio_buffer.speech_stopped").length).toBe(1);
    client.commit();
    expect((await client.until(COMPLETED, 2))[1]?.["transcript"]).toBe("one");
  });
});

test("audio is cleaned before speech is looked for in it", async () => {
  let cleaned = 0;
  const denoiser = () => ({
    // This one takes everything for noise.
    push: (samples: Float32Array) => {
      cleaned += samples.length;
      return silence(samples.length / RATE);
    },
    flush: () => silence(0),
  });
  const client = new Client(async () => countingRecogniser({ denoiser }));
  client.append(tone(2));
  await client.settled();
  expect(cleaned).toBe(2 * RATE);
  expect(client.of("input_audio_buffer.speech_started")).toEqual([]);
});

test("samples that are divided between appends are heard", async () => {
  const client = new Client();
  const bytes = pcmBytes(pcmFrom(audioOf(tone(2), silence(1))));
  for (let at = 0; at < bytes.length; at += 3001) client.appendBytes(bytes.subarray(at, at + 3001));
  expect((await client.until(COMPLETED))[0]?.["transcript"]).toBe("one two");
});

test("a model that cannot be loaded is one error, and one at each commit", async () => {
  const client = new Client(async () => {
    throw new Failure("unavailable", "The model ear cannot be loaded.");
  });
  for (let i = 0; i < 50; i++) client.append(tone(0.1));
  await client.settled();
  expect(client.of("error").length).toBe(1);
  expect(client.of("error")[0]).toMatchObject({
    error: { message: expect.stringContaining("ear") },
  });
  client.commit();
  await client.until("error", 2);
});

describe("a language", () => {
  const language = (client: Client) => {
    const session = client.of("session.updated").at(-1)?.["session"];
    return JSON.parse(JSON.stringify(session)).audio.input.transcription.language;
  };

  test("that the model knows is used, and reported as it knows it", async () => {
    const client = new Client();
    client.update({ transcription: { model: STT.id, language: "de-AT" } });
    await client.settled();
    expect(language(client)).toBe("de");
    client.update({ transcription: { language: null } });
    await client.settled();
    expect(language(client)).toBeUndefined();
  });

  test("that it does not know is not reported, and what is none is an error", async () => {
    const client = new Client();
    client.update({ transcription: { language: "tlh" } });
    await client.settled();
    expect(language(client)).toBeUndefined();
    client.send({
      event_id: "mine",
      type: "session.update",
      session: { audio: { input: { transcription: { language: "no language" } } } },
    });
    const [error] = await client.until("error");
    expect(error).toMatchObject({ error: { event_id: "mine", type: "invalid_request_error" } });
  });
});

test("a client that sends faster than audio is processed is closed", async () => {
  const loading = Promise.withResolvers<never>();
  const client = new Client(() => loading.promise);
  const megabytes = new Uint8Array(12 * 1024 * 1024);
  for (let i = 0; i < 10 && client.closedFor === undefined; i++) client.appendBytes(megabytes);
  expect(client.closedFor).toContain("faster than");
});

test.each([
  "",
  "null",
  "[]",
  "{}",
  '{"type":"input_audio_buffer.append"}',
  '{"type":"input_audio_buffer.append","audio":"%%%"}',
  '{"type":"input_audio_buffer.append","audio":7}',
  '{"type":"session.update","session":{"audio":{"input":{"format":{"type":"audio/pcm","rate":1}}}}}',
  '{"type":"session.update","session":{"audio":{"input":{"transcription":{"model":"none"}}}}}',
  '{"type":"__proto__"}',
  `{"type":"${"x".repeat(100_000)}"}`,
])("the frame %# is an error, and the session goes on", async (frame) => {
  const client = new Client();
  client.session.receive(frame);
  await client.until("error");
  client.append(audioOf(tone(1), silence(1)));
  expect((await client.until(COMPLETED))[0]?.["transcript"]).toBe("one");
});
