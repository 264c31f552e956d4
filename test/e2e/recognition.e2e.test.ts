import { afterAll, beforeAll, describe, expect } from "bun:test";
import type { RealtimeDialect } from "../stand-in/dialect.ts";
import { IN_CONVERSATION, refusesUpdate, transcribing } from "../stand-in/quirks/realtime.ts";
import { hears, loads } from "../stand-in/quirks/stt.ts";
import { type LiveKitFixture, ParticipantCall, startLiveKitFixture } from "./participant-call.ts";
import { spokenTest as test } from "./spoken.ts";

// Speech recognition by servers that deviate from OpenAI's.

const FIRST = "What is the weather like today?";
const SECOND = "And what about the weekend?";
const ASK = "Tell me a long story.";
const SHORT = "Okay.";
/** Longer than it takes to hear a sound out and to go on. */
const STORY =
  "The river begins high in the mountains above the town. It ends far away in the northern sea.";

let fixture: LiveKitFixture;

beforeAll(async () => {
  // Nothing decides who serves the stages, so the page can.
  const env = { OPENAI_API_KEY: "", OPENAI_BASE_URL: "", STT_REALTIME: "" };
  fixture = await startLiveKitFixture({ phrases: [FIRST, SECOND, ASK, SHORT], env });
});
afterAll(() => fixture[Symbol.asyncDispose]());

/** Chooses the stand-in on the page, with a key of its own, so that nothing is known of it. */
async function choose(key: string, stt_model = ""): Promise<void> {
  const form = new URLSearchParams({ base_url: fixture.ai.url, api_key: key, stt_model });
  for (const stage of ["stt", "llm", "tts"]) form.append("stages", stage);
  const answer = await fixture.parley.fetch("/providers/endpoint", {
    method: "POST",
    body: form,
    headers: { origin: fixture.parley.url },
    redirect: "manual",
  });
  expect(answer.status).toBe(303);
}

function requestsVia(via: "http" | "realtime") {
  return fixture.ai.requests.filter((request) => request.stage === "stt" && request.via === via);
}

async function logged(call: ParticipantCall, text: string) {
  return fixture.parley.logged(
    (line) => line["session_id"] === call.id && String(line.msg).includes(text),
  );
}

describe("realtime transcription that does not work", () => {
  /** Says a sentence to a server with this dialect, in a session of its own. */
  async function sentence(dialect: RealtimeDialect): Promise<void> {
    const { ai, parley } = fixture;
    const before = requestsVia("http").length;
    await using call = await ParticipantCall.begin(parley);
    await call.say(FIRST);
    const { text } = await call.final("user");
    expect({ dialect: dialect.name, text }).toEqual({
      dialect: dialect.name,
      text: FIRST,
    });
    await logged(call, "speech is recognised by requests");
    expect(call.listener.events.filter(({ type }) => type === "error")).toEqual([]);
    expect(requestsVia("http").length).toBeGreaterThan(before);
    expect(ai.realtimeConnections).toBe(0);
  }

  test("is told at once, and requests are used", async () => {
    await choose("probed");
    fixture.ai.realtimeDialect = refusesUpdate;
    await sentence(refusesUpdate);
  });

  for (const dialect of IN_CONVERSATION) {
    test(`is given up for requests in the conversation when it ${dialect.name}`, async () => {
      await choose(crypto.randomUUID());
      fixture.ai.realtimeDialect = dialect;
      await sentence(dialect);
    });
  }

  test("is remembered: the next conversation begins with requests", async () => {
    const { ai, parley } = fixture;
    // It would work now, but the last key is known to have failed.
    ai.realtimeDialect = undefined;
    await using call = await ParticipantCall.begin(parley);
    const before = requestsVia("realtime").length;
    await call.say(SECOND);
    expect((await call.final("user")).text).toBe(SECOND);
    expect(requestsVia("realtime").length).toBe(before);
  });
});

describe.each([
  ["realtime transcription", true],
  ["requests", false],
])("with %s", (_, realtime) => {
  /** Has the server hear other words in what is short. */
  function instead(words: string): void {
    const change = (text: string) => (text === FIRST || text === ASK ? text : words);
    if (realtime) fixture.ai.realtimeDialect = transcribing(change);
    else fixture.ai.quirks = [hears(change)];
  }

  beforeAll(async () => {
    await choose(`sounds-${realtime}`);
    fixture.ai.realtime = realtime;
    fixture.ai.realtimeDialect = undefined;
    fixture.ai.reply = () => STORY;
  });
  afterAll(() => {
    fixture.ai.realtime = true;
    fixture.ai.quirks = [];
  });

  test("a sound that is no word leaves the story going on, and is no turn", async () => {
    instead("[BLANK_AUDIO]");
    await using call = await ParticipantCall.begin(fixture.parley);
    await call.say(ASK);
    const asked = await call.final("user");
    await call.event(
      "the story is under way",
      ({ type, data }) =>
        type === "transcript" && data.role === "agent" && data.text.split(" ").length > 3,
    );
    const answers = fixture.ai.requests.filter(({ stage }) => stage === "llm").length;
    await call.say(SHORT);
    const story = await call.final("agent", asked.seq);
    expect(story).toMatchObject({ text: STORY });
    expect(story.interrupted).toBeUndefined();
    expect(fixture.ai.requests.filter(({ stage }) => stage === "llm")).toHaveLength(answers);
    expect(call.listener.finals("user")).toEqual([ASK]);
    const told = call.listener.events.filter(
      ({ seq, type, data }) => seq > asked.seq && type === "transcript" && data.role === "user",
    );
    expect(told).toEqual([]);
  });

  test("words in brackets are a turn where somebody says them", async () => {
    instead("The value [x] is three.");
    await using call = await ParticipantCall.begin(fixture.parley);
    await call.say(SHORT);
    expect((await call.final("user")).text).toBe("The value [x] is three.");
  });
});

test("a server that loads its model keeps the words, and says why it takes long", async () => {
  await choose("loads", "whisper-1");
  const quirk = loads(5000);
  fixture.ai.realtime = false;
  fixture.ai.quirks = [quirk];
  try {
    await using call = await ParticipantCall.begin(fixture.parley);
    await call.say(FIRST);
    await call.event(
      "the person is told",
      ({ type, data }) => type === "notice" && data.code === "model_loading",
    );
    await call.say(SECOND);
    expect((await call.final("user")).text).toBe(`${FIRST} ${SECOND}`);
    expect(quirk.aborts).toBe(0);
    expect(call.listener.events.filter(({ type }) => type === "error")).toEqual([]);
  } finally {
    fixture.ai.quirks = [];
    fixture.ai.realtime = true;
  }
});
