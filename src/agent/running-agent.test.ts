import { afterAll, beforeAll, expect, test } from "bun:test";
import { Room } from "@livekit/rtc-node";
import { AccessToken } from "livekit-server-sdk";
import { pino } from "pino";
import { eventually } from "../../test/e2e/wait.ts";
import { testBinary } from "../../test/livekit-binary.ts";
import { loadSharedParts } from "../../test/shared-parts.ts";
import { type StandIn, startStandIn } from "../../test/stand-in/openai.ts";
import { createRoomService } from "../livekit/rooms.ts";
import { type LiveKitServer, startLiveKitServer } from "../livekit/server-process.ts";
import { agentToken } from "../livekit/tokens.ts";
import type { AgentSignal } from "./normalize-events.ts";
import type { Person } from "./person-in-room.ts";
import type { SharedParts } from "./pipeline.ts";
import { RunningAgent } from "./running-agent.ts";

const logger = pino({ level: "silent" });
let livekit: LiveKitServer;
let ai: StandIn;
let shared: SharedParts;

beforeAll(async () => {
  shared = await loadSharedParts();
  livekit = startLiveKitServer({ binary: () => testBinary(), logger });
  ai = await startStandIn({});
  await livekit.ready();
});
afterAll(async () => {
  await ai[Symbol.asyncDispose]();
  await livekit[Symbol.asyncDispose]();
  await shared.vadModel.release();
});

/** An agent in a room of its own, and what it reports. */
class Conversation implements AsyncDisposable {
  readonly room = crypto.randomUUID();
  readonly signals: AgentSignal[] = [];
  readonly people: (Person | undefined)[] = [];
  readonly ends: string[] = [];
  agent: RunningAgent | undefined;
  readonly #ai: StandIn;
  readonly #rooms: Room[] = [];

  constructor(provider = ai) {
    this.#ai = provider;
  }

  async start(userIdentity?: string, signal = new AbortController().signal): Promise<void> {
    const server = { baseURL: this.#ai.url, apiKey: undefined, model: "m" };
    const { url, apiKey, apiSecret } = livekit;
    const joining = { apiKey, apiSecret, room: this.room, identity: "agent-x" };
    this.agent = await RunningAgent.start(
      {
        url,
        token: await agentToken(joining),
        userIdentity,
        instructions: "Do not tell anybody.",
        greeting: "Hello!",
        pipeline: {
          language: "en",
          keyterms: [],
          stt: { ...server, realtime: false },
          llm: server,
          tts: { ...server, voice: "alloy" },
        },
        logger,
        onSignal: (one) => this.signals.push(one),
        onUser: (person) => this.people.push(person),
        onEnd: (reason) => this.ends.push(reason),
      },
      shared,
      signal,
    );
  }

  /** Somebody joins. @param kind as tokens name it; a standard participant by default */
  async join(identity: string, kind?: string, autoSubscribe = true): Promise<Room> {
    const token = new AccessToken(livekit.apiKey, livekit.apiSecret, { identity });
    if (kind !== undefined) token.kind = kind;
    token.addGrant({ room: this.room, roomJoin: true, canPublishData: true });
    const room = new Room();
    this.#rooms.push(room);
    await room.connect(livekit.url, await token.toJwt(), { autoSubscribe, dynacast: false });
    return room;
  }

  /** The text of what was typed, as the transcript gets it. */
  get typed(): string[] {
    return this.signals.flatMap((one) => (one.kind === "typed" ? [one.text] : []));
  }

  get notices(): string[] {
    return this.signals.flatMap((one) => (one.kind === "notice" ? [one.message] : []));
  }

  async seen<T>(what: string, look: () => T, done: (value: T) => boolean): Promise<void> {
    await eventually(what, async () => look(), done);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.agent?.close();
    for (const room of this.#rooms) await room.disconnect();
  }
}

test.concurrent("recorders, streams, connectors and agents are not the person; the first other one is", async () => {
  await using conversation = new Conversation();
  await conversation.join("recorder", "egress");
  await conversation.start();
  await conversation.join("camera", "ingress");
  await conversation.join("bridge", "connector");
  await conversation.join("helper", "agent");
  expect(conversation.people).toEqual([]);
  await conversation.join("+49 30 1234", "sip");
  await conversation.seen(
    "the caller is the person",
    () => conversation.people.length,
    (n) => n > 0,
  );
  await conversation.join("late");
  expect(conversation.people).toEqual([{ identity: "+49 30 1234", name: "" }]);
  await conversation.seen(
    "the caller is greeted",
    () => conversation.signals.some(({ kind }) => kind === "agent_turn" || kind === "agent_text"),
    (greeted) => greeted,
  );
});

test.concurrent("the person may have any identity, and stays the person when they return at once", async () => {
  await using conversation = new Conversation();
  const identity = "ædà 👩‍🚀/日本 %00";
  await conversation.start(identity);
  await conversation.join("other");
  await conversation.join(identity);
  await conversation.seen(
    "the person is there",
    () => conversation.people.length,
    (n) => n === 1,
  );
  // A second connection of the same identity takes the place of the first.
  const again = await conversation.join(identity);
  await conversation.seen(
    "the person is back",
    () => conversation.people.map((one) => one?.identity),
    (seen) => seen.length >= 3 && seen.at(-1) === identity,
  );
  await again.localParticipant?.sendText("Here again", { topic: "lk.chat" });
  await conversation.seen(
    "the words arrive",
    () => conversation.typed,
    (typed) => typed.length === 1,
  );
});

test.concurrent("typed words obey the limits of the API, and others cannot type", async () => {
  await using conversation = new Conversation();
  await conversation.start("ada");
  const ada = await conversation.join("ada");
  const eve = await conversation.join("eve");
  await conversation.seen(
    "Ada is the person",
    () => conversation.people.length,
    (n) => n === 1,
  );
  const type = (room: Room, text: string) =>
    room.localParticipant?.sendText(text, { topic: "lk.chat" });
  await type(eve, "I am Ada.");
  await type(ada, "x".repeat(1_000_000));
  await type(ada, "a\0b");
  await type(ada, "   ");
  await type(ada, "👩".repeat(2000));
  await type(ada, "👩".repeat(2001));
  await type(ada, "The last one.");
  await conversation.seen(
    "all have arrived",
    () => conversation.typed.length + conversation.notices.length,
    (count) => count === 6,
  );
  expect(conversation.typed.toSorted()).toEqual(["The last one.", "👩".repeat(2000)]);
  expect(conversation.notices.toSorted()).toEqual([
    "Your message was not sent: text has a NUL character.",
    "Your message was not sent: text is empty.",
    "Your message was not sent: text is longer than 4000 characters.",
    "Your message was not sent: text is longer than 4000 characters.",
  ]);
});

/** `AgentSessionMessage { request { request_id: "1", run_input { text: "Obey." } } }` as protobuf. */
const RUN_INPUT = Uint8Array.of(34, 12, 10, 1, 49, 42, 7, 10, 5, 79, 98, 101, 121, 46);

test.concurrent("the library's protocol for remote control gets no answer and no events", async () => {
  await using conversation = new Conversation();
  const ada = await conversation.join("ada");
  const topics: string[] = [];
  ada.registerByteStreamHandler("lk.agent.session", () => topics.push("lk.agent.session"));
  await conversation.start("ada");
  const writer = await ada.localParticipant?.streamBytes({ topic: "lk.agent.session", name: "1" });
  await writer?.write(RUN_INPUT);
  await writer?.close();
  await ada.localParticipant?.sendText("And now?", { topic: "lk.chat" });
  await conversation.seen(
    "the typed words are answered",
    () => ai.requests.flatMap(({ messages = [] }) => messages.map(({ content }) => content)),
    (asked) => asked.includes("And now?"),
  );
  expect(topics).toEqual([]);
  expect(JSON.stringify(ai.requests)).not.toContain("Obey.");
  await expect(
    ada.localParticipant?.performRpc({
      destinationIdentity: "agent-x",
      method: "lk.agent.get_chat_history",
      payload: "{}",
    }),
  ).rejects.toThrow();
});

test.concurrent("a start that is aborted leaves the room", async () => {
  await using conversation = new Conversation();
  await conversation.join("ada");
  const abort = new AbortController();
  const starting = conversation.start("ada", abort.signal);
  abort.abort(new Error("stopped"));
  await expect(starting).rejects.toThrow("stopped");
  const { url, apiKey, apiSecret } = livekit;
  const present = await createRoomService({ url, apiKey, apiSecret }).participants(
    conversation.room,
  );
  expect(present.map(({ identity }) => identity)).toEqual(["ada"]);
  expect(conversation.ends).toEqual([]);
});

test.concurrent("an end by failures is reported once, however many follow", async () => {
  await using failing = await startStandIn({});
  await using conversation = new Conversation(failing);
  await conversation.join("ada");
  await conversation.start("ada");
  failing.fail("llm", { kind: "status", status: 401 }, Number.POSITIVE_INFINITY);
  const errors = () => conversation.signals.filter(({ kind }) => kind === "error").length;
  for (let turn = 1; turn <= 6; turn += 1) {
    await conversation.agent?.say(`Question ${turn}`);
    await conversation.seen(`turn ${turn} failed`, errors, (count) => count >= turn);
  }
  expect(conversation.ends).toEqual(["provider_failed"]);
});

test.concurrent("a person who does not take the agent's audio is answered all the same", async () => {
  await using conversation = new Conversation();
  await conversation.join("ada", undefined, false);
  await conversation.start("ada");
  await conversation.seen(
    "the greeting is over",
    () => conversation.signals.flatMap((one) => (one.kind === "agent_turn" ? [one.text] : [])),
    (turns) => turns.includes("Hello!"),
  );
});

test.concurrent("the end of the room is reported", async () => {
  await using conversation = new Conversation();
  const ada = await conversation.join("ada");
  await conversation.start("ada");
  const { url, apiKey, apiSecret } = livekit;
  await createRoomService({ url, apiKey, apiSecret }).deleteRoom(conversation.room);
  await conversation.seen(
    "the end is reported",
    () => conversation.ends.length,
    (ends) => ends > 0,
  );
  expect(conversation.ends).toEqual(["room_closed"]);
  expect(ada.isConnected).toBe(false);
});
