import { afterAll, beforeAll, expect, test } from "bun:test";
import type { stt } from "@livekit/agents";
import { AudioFrame } from "@livekit/rtc-node";
import { speak } from "../../test/audio/speech.ts";
import { loadSharedParts } from "../../test/shared-parts.ts";
import type { RealtimeDialect } from "../../test/stand-in/dialect.ts";
import { startStandIn } from "../../test/stand-in/openai.ts";
import { IN_CONVERSATION, refusesPrompt } from "../../test/stand-in/quirks/realtime.ts";
import { loads } from "../../test/stand-in/quirks/stt.ts";
import type { Notice } from "../domain/transcript.ts";
import { createPipeline, type Pipeline, type SharedParts } from "./pipeline.ts";

const SENTENCE = "What is the weather like today?";
/** Its first words. */
const EARLY = "What is";
const RATE = 24_000;
const FRAME = RATE / 50;
const FINAL = 2;

let shared: SharedParts;

beforeAll(async () => {
  shared = await loadSharedParts();
});
afterAll(() => shared.vadModel.release());

/** A pipeline whose server has this dialect, and what it tells. */
function pipelineAt(baseURL: string, keyterms: readonly string[] = [], realtime = true) {
  const switches: string[] = [];
  const notices: Notice[] = [];
  const server = { baseURL, apiKey: undefined, model: "m" };
  const requests = { model: "by-request", onSwitch: (why: string) => switches.push(why) };
  const pipeline = createPipeline(
    {
      language: null,
      keyterms,
      stt: { ...server, realtime, requests },
      llm: { ...server, model: "mind" },
      tts: { ...server, voice: "alloy" },
      onNotice: (notice) => notices.push(notice),
    },
    shared,
  );
  return { pipeline, switches, notices };
}

/** Says a sentence in real time, and then stays silent; answers its texts, of which the last is final. */
async function textsOf({ stt: recogniser }: Pipeline): Promise<string[]> {
  const texts: string[] = [];
  const stream: stt.SpeechStream = recogniser.stream();
  const said = speak(SENTENCE, { rate: RATE });
  const samples = new Int16Array(RATE + said.length);
  samples.set(said, RATE / 2);
  let at = 0;
  const microphone = setInterval(() => {
    const frame = samples.slice(at, at + FRAME);
    at += FRAME;
    stream.pushFrame(new AudioFrame(pad(frame), RATE, 1, FRAME));
  }, 20);
  try {
    for await (const event of stream) {
      const text = event.alternatives?.[0]?.text;
      if (text !== undefined) texts.push(text);
      if (event.type === FINAL) break;
    }
    return texts;
  } finally {
    clearInterval(microphone);
    stream.close();
  }
}

async function hear(pipeline: Pipeline): Promise<string> {
  return (await textsOf(pipeline)).at(-1) ?? "";
}

function pad(frame: Int16Array): Int16Array {
  const whole = new Int16Array(FRAME);
  whole.set(frame);
  return whole;
}

/** A realtime server that sends the first words with the first sound, and no more until the commit. */
function startEarlyServer() {
  const at = { item_id: "item_1", content_index: 0 };
  let hasSent = false;
  return Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request, server) =>
      server.upgrade(request) ? undefined : new Response("", { status: 404 }),
    websocket: {
      message(socket, message) {
        const event = JSON.parse(String(message));
        const send = (type: string, data: object) => socket.send(JSON.stringify({ type, ...data }));
        const ofItem = (what: string, data: object) =>
          send(`conversation.item.input_audio_transcription.${what}`, { ...at, ...data });
        if (event.type === "session.update") send("session.updated", { session: event.session });
        if (event.type === "input_audio_buffer.append" && !hasSent && isLoud(event.audio)) {
          hasSent = true;
          ofItem("delta", { delta: EARLY });
        }
        if (event.type === "input_audio_buffer.commit")
          ofItem("completed", { transcript: SENTENCE });
      },
    },
  });
}

function isLoud(audio: string): boolean {
  const bytes = Buffer.from(audio, "base64");
  for (let at = 0; at + 1 < bytes.length; at += 2) if (bytes.readInt16LE(at) > 3000) return true;
  return false;
}

async function heardFrom(realtimeDialect: RealtimeDialect | undefined, keyterms?: string[]) {
  await using ai = await startStandIn({
    phrases: [SENTENCE],
    ...(realtimeDialect ? { realtimeDialect } : {}),
  });
  const { pipeline, switches } = pipelineAt(ai.url, keyterms);
  const errors: unknown[] = [];
  pipeline.stt.on("error", (error) => errors.push(error));
  try {
    return { text: await hear(pipeline), switches, errors, requests: [...ai.requests] };
  } finally {
    await pipeline.close();
  }
}

test("a server that works is used in real time", async () => {
  const { text, switches, requests } = await heardFrom(undefined);
  expect({ text, switches }).toEqual({ text: SENTENCE, switches: [] });
  expect(requests.map(({ via }) => via)).not.toContain("http");
});

test.each(IN_CONVERSATION.map((dialect) => [dialect.name, dialect] as const))(
  "when a server %s, requests take over with the sentence",
  async (_, dialect) => {
    const { text, switches, errors, requests } = await heardFrom(dialect);
    expect({ text, errors, switches }).toEqual({
      text: SENTENCE,
      errors: [],
      switches: [expect.any(String)],
    });
    const asked = requests.filter(({ via }) => via === "http");
    expect(asked.map(({ model }) => model)).toContain("by-request");
  },
);

test("words that arrive before there is enough speech for them are shown once there is", async () => {
  await using server = startEarlyServer();
  const { pipeline } = pipelineAt(`http://127.0.0.1:${server.port}/v1`);
  try {
    expect(await textsOf(pipeline)).toEqual([EARLY, SENTENCE, SENTENCE]);
  } finally {
    await pipeline.close();
  }
});

test("a model that refuses the words to expect is asked without them", async () => {
  const { text, switches, requests } = await heardFrom(refusesPrompt, ["Parley"]);
  expect({ text, switches }).toEqual({ text: SENTENCE, switches: [] });
  expect(requests.map(({ via, prompt }) => [via, prompt])).toEqual([["realtime", undefined]]);
});

test("by requests, a server that loads its model is waited for, and the person is told why", async () => {
  const quirk = loads(6000);
  await using ai = await startStandIn({ phrases: [SENTENCE], quirks: [quirk] });
  const { pipeline, notices } = pipelineAt(ai.url, [], false);
  try {
    expect(await hear(pipeline)).toBe(SENTENCE);
  } finally {
    await pipeline.close();
  }
  expect(notices.map(({ code }) => code)).toEqual(["model_loading"]);
  expect(quirk.aborts).toBe(0);
});
