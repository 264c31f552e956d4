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

/** Says a sentence in real time, and then stays silent; answers the final text. */
async function hear({ stt: recogniser }: Pipeline): Promise<string> {
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
      if (event.type === FINAL) return event.alternatives?.[0]?.text ?? "";
    }
    return "";
  } finally {
    clearInterval(microphone);
    stream.close();
  }
}

function pad(frame: Int16Array): Int16Array {
  const whole = new Int16Array(FRAME);
  whole.set(frame);
  return whole;
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
