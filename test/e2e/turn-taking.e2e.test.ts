import { afterAll, beforeAll, describe, expect } from "bun:test";
import { z } from "zod";
import { cough } from "../audio/speech.ts";
import { joinRoom } from "../caller.ts";
import { defaultReply } from "../stand-in/chat.ts";
import type { PerStage } from "../stand-in/faults.ts";
import type { ChatMessage } from "../stand-in/log.ts";
import { ended, liveSessions, saidIn, storedTranscript } from "./environment.ts";
import {
  type LiveKitFixture,
  ParticipantCall,
  peopleIn,
  startLiveKitFixture,
  withPause,
} from "./participant-call.ts";
import { spoken, spokenTest as test } from "./spoken.ts";
import { eventually } from "./wait.ts";

const ASK = "Tell me a long story.";
const INTERRUPTIONS = [
  "Wait, please stop talking now.",
  "No no, that is enough.",
  "Hold on a moment, please.",
];
const FIRST = "What is the weather like today?";
const SECOND = "And what about the weekend?";

/** Sentences, and the word before which the speaker pauses. */
const PAUSED: [string, number][] = [
  ["I would like to book a table for tonight.", 4],
  ["Can you tell me where the station is?", 4],
  ["My sister lives near the old harbour.", 2],
  ["Please remind me tomorrow to call my mother.", 3],
  ["The train to London leaves at seven.", 3],
  ["We need more bread, some butter and cheese.", 3],
];
const UNFINISHED: [string, number][] = [
  ["I want coffee and some cake.", 4],
  ["My number is um seven five three.", 4],
];
/** From the moment that an interruption is noticed until the last of the agent's audio arrived. */
const AFTER_NOTICE_MS = 250;
/** Longer than it takes to hear a cough out and to go on. */
const TWO_SENTENCES =
  "The river begins high in the mountains above the town. It ends far away in the northern sea.";

const phrases = [
  ASK,
  ...INTERRUPTIONS,
  FIRST,
  SECOND,
  ...PAUSED.map(([text]) => text),
  ...UNFINISHED.map(([text]) => text),
];

let fixture: LiveKitFixture;

/** Has the provider behave otherwise until the end of the block. */
function provider(how: {
  /** What it replies to a text; undefined for what it replies else. */
  reply?: (text: string) => string | undefined;
  delays?: Partial<PerStage>;
  pace?: Partial<PerStage>;
}): Disposable {
  const { ai } = fixture;
  const { reply } = how;
  if (reply) ai.reply = (all) => reply(all.at(-1)?.content ?? "") ?? defaultReply(all);
  Object.assign(ai.delays, how.delays);
  Object.assign(ai.pace, how.pace);
  return {
    [Symbol.dispose]: () => {
      ai.reply = defaultReply;
      Object.assign(ai.delays, { stt: 0, llm: 0, tts: 0 });
      Object.assign(ai.pace, { stt: 0, llm: 0, tts: 0 });
    },
  };
}

/**
 * Has the agent tell a story, and answers once it is some words into it.
 *
 * @returns the number of the event before it, and how long the agent took to notice that the user
 *   speaks while it was silent itself, in ms
 */
async function storyUnderWay(call: ParticipantCall): Promise<{ since: number; noticedMs: number }> {
  const since = call.now;
  const { from } = await call.say(ASK);
  const noticed = await call.event(
    "the user's speech is noticed",
    ({ type, data }) => type === "speech" && data.role === "user" && data.state === "started",
    since,
  );
  await call.event(
    "the story is under way",
    ({ type, data }) =>
      type === "transcript" && data.role === "agent" && data.text.split(" ").length > 3,
    since,
  );
  return { since, noticedMs: Date.parse(noticed.at) - from };
}

/** Everything that was told of one segment. */
function versionsOf(call: ParticipantCall, segmentId: string) {
  return call.listener.events.flatMap(({ type, data }) =>
    type === "transcript" && data.segment_id === segmentId ? [data] : [],
  );
}

/** The whole reply that the stand-in gave last to somebody who said `text`. */
function wholeReplyTo(text: string): string {
  const asked = fixture.ai.requests.findLast(
    ({ stage, messages }) => stage === "llm" && messages?.at(-1)?.content === text,
  );
  return asked?.text ?? "";
}

async function nobodyIn(room: string): Promise<void> {
  await eventually(
    `nobody is in ${room}`,
    () => fixture.rooms.participants(room),
    (present) => !present.some(({ kind }) => kind === "agent"),
  );
}

describe.each([
  { way: "realtime", realtime: true },
  { way: "per utterance", realtime: false },
])("with $way transcription", ({ realtime }) => {
  beforeAll(async () => {
    fixture = await startLiveKitFixture({ phrases, realtime });
  });
  afterAll(() => fixture[Symbol.asyncDispose]());

  describe("when both speak", testOverlaps);
  if (realtime) describe("when the answer is interrupted", testAbort);
  describe("when the speaker pauses", testPauses);
});

function testOverlaps(): void {
  test("the agent's voice stops within 500 ms of the user's, and its final holds what was heard", async () => {
    await using call = await ParticipantCall.begin(fixture.parley);
    using _ = provider({ reply: (text) => (text === ASK ? undefined : "Yes.") });
    const delays: number[] = [];
    const references: number[] = [];
    for (const words of INTERRUPTIONS) {
      const { since, noticedMs } = await storyUnderWay(call);
      references.push(noticedMs);
      const { from, to } = await call.say(words);
      expect(call.audible(from - 1000, from)).not.toEqual([]);
      delays.push((call.audible(from, to).at(-1) ?? from) - from);
      const cut = await call.final("agent", since);
      expect(cut.interrupted).toBe(true);
      const whole = wholeReplyTo(ASK);
      expect(whole).toStartWith(cut.text);
      const speaking = await call.agentIs("speaking", since);
      const heardMs = from + (delays.at(-1) ?? 0) - Date.parse(speaking.at);
      expect(cut.text.split(" ").length).toBeWithin(3, 3 + heardMs / 200);
      const reply = await call.final("agent", cut.seq);
      expect(reply.text).toBe("Yes.");
      expect(call.listener.finals("user").at(-1)).toBe(words);
      const versions = versionsOf(call, cut.segment_id);
      expect(versions.findIndex(({ final }) => final)).toBe(versions.length - 1);
      await call.agentIs("listening", reply.seq);
    }
    console.log(
      `barge-in: the agent fell silent after ${delays.join(", ")} ms; ` +
        `speech into silence was noticed after ${references.join(", ")} ms`,
    );
    // A busy machine delays a single one; what Parley is able to do shows in the best. Where speech
    // into silence is noticed late as well, all of the machine is late.
    const limit = Math.max(500, Math.min(...references) + AFTER_NOTICE_MS);
    expect(Math.min(...delays)).toBeLessThan(limit);
  });

  test("after a cough the agent goes on with what it was saying", async () => {
    await using call = await ParticipantCall.begin(fixture.parley);
    using _ = provider({ reply: () => TWO_SENTENCES });
    const { since } = await storyUnderWay(call);
    const { to } = await call.play(cough(300, 48_000));
    const whole = await call.final("agent", since);
    expect(whole).toMatchObject({ text: TWO_SENTENCES });
    expect(whole.interrupted).toBeUndefined();
    await call.agentIs("listening", whole.seq);
    expect(call.audible(to + 1000).length).toBeGreaterThan(100);
    expect(call.listener.finals("agent")).toEqual([TWO_SENTENCES]);
    expect(call.listener.finals("user")).toEqual([ASK]);
  });

  test("what the user adds while the agent thinks is kept, and answered with the rest", async () => {
    const { ai, parley } = fixture;
    await using call = await ParticipantCall.begin(parley);
    using _ = provider({ delays: { llm: 1500 } });
    await call.say(FIRST);
    await call.agentIs("thinking");
    await call.say(SECOND);
    const reply = await call.final("agent");
    expect(call.listener.finals("user").join(" ")).toBe(`${FIRST} ${SECOND}`);
    expect(reply.text).toContain(SECOND);
    const asked = ai.requests.findLast(({ stage }) => stage === "llm");
    const said = asked?.messages?.filter(({ role }) => role === "user");
    // Chat templates want roles to alternate.
    expect(said?.map(({ content }) => content)).toEqual([`${FIRST}\n${SECOND}`]);
    await call.agentIs("listening", reply.seq);
    expect(call.listener.finals("agent")).toEqual([reply.text]);
  });
}

function testAbort(): void {
  test("the provider need not write and speak on", async () => {
    const { ai, parley } = fixture;
    await using call = await ParticipantCall.begin(parley);
    using _ = provider({ pace: { llm: 150, tts: 95 } });
    await storyUnderWay(call);
    const { from } = await call.say(INTERRUPTIONS[0] ?? "");
    const aborted = await Promise.all(
      (["llm", "tts"] as const).map((stage) =>
        ai.waitFor(stage, ({ outcome, endedAt = 0 }) => outcome === "aborted" && endedAt > from),
      ),
    );
    expect(aborted).toHaveLength(2);
  });
}

function testPauses(): void {
  test("for 300 ms inside a sentence, it is heard to the end and answered once", async () => {
    await using call = await ParticipantCall.begin(fixture.parley);
    for (const [text, word] of PAUSED) await expectOneTurn(call, text, withPause(text, word, 300));
  });

  test("for 800 ms after a word that asks for more, it is heard to the end and answered once", async () => {
    await using call = await ParticipantCall.begin(fixture.parley);
    for (const [text, word] of UNFINISHED) {
      await expectOneTurn(call, text, withPause(text, word, 800));
    }
  });
}

/** Says something, and checks that it becomes one line with one answer, spoken after it. */
async function expectOneTurn(
  call: ParticipantCall,
  text: string,
  samples: Int16Array,
): Promise<void> {
  using _ = provider({ reply: () => "Yes." });
  await call.silence();
  const since = call.now;
  const { from, to } = await call.play(samples, text);
  const reply = await call.final("agent", since);
  await call.agentIs("listening", reply.seq);
  const finals = call.listener.events.flatMap(({ seq, type, data }) =>
    seq > since && type === "transcript" && data.final ? [`${data.role}: ${data.text}`] : [],
  );
  expect(finals).toEqual([`user: ${text}`, "agent: Yes."]);
  expect(call.audible(from, to)).toEqual([]);
  const segments = call.listener.events.flatMap(({ seq, type, data }) =>
    seq > since && type === "transcript" && data.role === "user" ? [data.segment_id] : [],
  );
  expect(new Set(segments).size).toBe(1);
  // One answer is prepared at the first pause; whoever goes on gets another.
  const asked = fixture.ai.requests.filter(
    ({ stage, at, messages = [] }) => stage === "llm" && at > from && messages.length > 1,
  );
  expect(asked.length).toBeLessThanOrEqual(2);
}

describe("when somebody leaves", () => {
  beforeAll(async () => {
    fixture = await startLiveKitFixture({ phrases });
    fixture.ai.reply = shortly;
    leftForGood = spoken(leaveForGood);
    leftForGood.catch(() => {});
  });
  afterAll(() => fixture[Symbol.asyncDispose]());

  describe("the agent", testAgentLeaves);
  describe("the user", testUserLeaves);
});

/** A long story when asked for one, else a word. */
function shortly(messages: readonly ChatMessage[]): string {
  return messages.at(-1)?.content === ASK ? defaultReply(messages) : "Yes.";
}

/** Somebody who leaves in the middle of an answer, and what becomes of it. */
interface LeftForGood {
  id: string;
  room: string;
  heard: string;
  afterMs: number;
}

/** Goes on while other tests run: that somebody is gone for good takes a while to tell. */
let leftForGood: Promise<LeftForGood>;

async function leaveForGood(): Promise<LeftForGood> {
  await using call = await ParticipantCall.begin(fixture.parley);
  await storyUnderWay(call);
  await call.caller.room.disconnect();
  const left = Date.now();
  const cut = await call.final("agent");
  expect(cut.interrupted).toBe(true);
  await ended(call.listener, "user_left");
  return { id: call.id, room: call.room, heard: cut.text, afterMs: Date.now() - left };
}

function testUserLeaves(): void {
  test("and comes back under the same name, the conversation goes on", async () => {
    await using call = await ParticipantCall.begin(fixture.parley);
    await call.say(FIRST);
    const before = await call.final("agent");
    await call.agentIs("listening", before.seq);
    await call.caller.room.disconnect();
    await using again = await joinRoom(fixture.parley, call.room, "ada");
    await expectAnswer(call, again);
  });

  test("and another connection takes over the name, the conversation goes on there", async () => {
    await using call = await ParticipantCall.begin(fixture.parley);
    const { since } = await storyUnderWay(call);
    await using again = await joinRoom(fixture.parley, call.room, "ada");
    const cut = await call.final("agent", since);
    expect(cut.interrupted).toBe(true);
    await call.agentIs("listening", since);
    await expectAnswer(call, again);
  });

  test("in the middle of an answer, the session ends in time and keeps what was heard of it", async () => {
    const { id, room, heard, afterMs } = await leftForGood;
    expect(afterMs).toBeWithin(10_000, 22_000);
    const whole = wholeReplyTo(ASK);
    expect(whole).toStartWith(heard);
    expect(heard.length).toBeLessThan(whole.length);
    const transcript = await storedTranscript(fixture.parley, id);
    expect(saidIn(transcript)).toEqual([`user: ${ASK}`, `agent: ${heard}`]);
    expect(transcript.segments.at(-1)?.interrupted).toBe(true);
    await nobodyIn(room);
  });
}

/** The words of a person who came back are heard, and the answer to them is audible there. */
async function expectAnswer(
  call: ParticipantCall,
  again: ParticipantCall["caller"],
): Promise<void> {
  const since = call.now;
  await again.listenedTo();
  const { to } = await call.say(SECOND, again);
  const said = await call.final("user", since);
  expect(said).toMatchObject({ text: SECOND, identity: "ada" });
  const reply = await call.final("agent", since);
  expect(reply.text).toBe("Yes.");
  expect(await again.hears(to)).toBeGreaterThan(to);
  expect(await liveSessions(fixture.parley)).toContain(call.id);
}

function testAgentLeaves(): void {
  test("when it is stopped while it speaks: at once, keeping what was heard", async () => {
    await using call = await ParticipantCall.begin(fixture.parley);
    await storyUnderWay(call);
    const asked = Date.now();
    expect(await (await call.stop()).json()).toEqual({ stopped: true });
    expect(Date.now() - asked).toBeLessThan(4000);
    expect(await peopleIn(fixture.rooms, call.room)).toMatchObject([{ kind: "standard" }]);
    await ended(call.listener, "stopped");
    const cut = await call.final("agent");
    expect(cut.interrupted).toBe(true);
    expect(wholeReplyTo(ASK)).toStartWith(cut.text);
    expect(cut.text.length).toBeLessThan(wholeReplyTo(ASK).length);
    expect(saidIn(await storedTranscript(fixture.parley, call.id))).toEqual([
      `user: ${ASK}`,
      `agent: ${cut.text}`,
    ]);
    expect((await call.listener.closed).code).toBe(1000);
  });

  test("once, when two stop it at the same time", async () => {
    await using call = await ParticipantCall.begin(fixture.parley);
    await storyUnderWay(call);
    const answers = await Promise.all([call.stop(), call.stop()]);
    for (const answer of answers) expect(await answer.json()).toEqual({ stopped: true });
    await call.listener.closed;
    const ends = call.listener.events.filter(
      ({ type, data }) => type === "session" && data.state === "ended",
    );
    expect(ends).toHaveLength(1);
    await nobodyIn(call.room);
  });

  test("without a trace, when it is stopped while it starts", async () => {
    const { parley } = fixture;
    const statuses: number[] = [];
    for (let round = 0; round < 5; round++) {
      const room = `room-${crypto.randomUUID()}`;
      await using _ = await joinRoom(parley, room, "ada");
      const others = await liveSessions(parley);
      const starting = parley.post("/session", { room, identity: "ada" });
      const [id = ""] = await eventually(
        "a session starts",
        async () => (await liveSessions(parley)).filter((one) => !others.includes(one)),
        (fresh) => fresh.length > 0,
      );
      const stopped = await parley.fetch(`/session/${id}`, { method: "DELETE" });
      expect(await stopped.json()).toEqual({ stopped: true });
      const { status } = await starting;
      statuses.push(status);
      expect(await liveSessions(parley)).not.toContain(id);
      await nobodyIn(room);
    }
    expect(statuses).toContain(409);
    expect(statuses.filter((status) => status !== 409 && status !== 201)).toEqual([]);
  });

  test("with a reason, when the room is closed by the server", async () => {
    await using call = await ParticipantCall.begin(fixture.parley);
    await storyUnderWay(call);
    await fixture.rooms.deleteRoom(call.room);
    await ended(call.listener, "room_closed");
    const error = await call.event("an error", ({ type }) => type === "error");
    expect(error.data).toMatchObject({ code: "session_room_closed", recoverable: false });
    const cut = await call.final("agent");
    expect(cut.interrupted).toBe(true);
    expect(saidIn(await storedTranscript(fixture.parley, call.id))).toEqual([
      `user: ${ASK}`,
      `agent: ${cut.text}`,
    ]);
    const session = z.object({ state: z.string(), end_reason: z.string() });
    expect(await fixture.parley.json(`/session/${call.id}`, session)).toEqual({
      state: "ended",
      end_reason: "room_closed",
    });
    expect(await liveSessions(fixture.parley)).not.toContain(call.id);
  });
}
