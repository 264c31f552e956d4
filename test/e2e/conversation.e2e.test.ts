import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { pino } from "pino";
import type { Envelope } from "../../src/domain/transcript.ts";
import { createRoomService, type RoomService } from "../../src/livekit/rooms.ts";
import { startLiveKitServer } from "../../src/livekit/server-process.ts";
import { testBinary } from "../livekit-binary.ts";
import {
  ended,
  finalOf,
  liveSessions,
  saidIn,
  startEnvironment,
  storedTranscript,
  type TestEnvironment,
} from "./environment.ts";
import { PageUser } from "./page-user.ts";
import { peopleIn } from "./participant-call.ts";
import type { Level, ShownLine, StateChange } from "./probe.ts";
import { soundsIn } from "./sounds.ts";
import { spoken } from "./spoken.ts";
import { eventually } from "./wait.ts";

const INTRODUCTION = "My name is Ada.";
const QUESTION = "What is my name?";
/** The stand-in knows the name only from the messages that Parley sends with the second turn. */
const SAID = [
  `user: ${INTRODUCTION}`,
  "agent: Nice to meet you, Ada.",
  `user: ${QUESTION}`,
  "agent: Your name is Ada.",
];
const ROOM = "kitchen";

/** What one conversation of two turns left behind, and the page it was held on. */
interface Held {
  environment: TestEnvironment;
  user: PageUser;
  rooms: RoomService;
  id: string;
  events: Envelope[];
  /** What the page showed before Stop. */
  shown: string[];
  presentBefore: string[];
  lines: ShownLine[];
  states: StateChange[];
  levels: Level[];
}

/** Talks, and presses Stop; the page stays open. */
async function hold(realtime: boolean, open: AsyncDisposableStack): Promise<Held> {
  await using opening = new AsyncDisposableStack();
  const logger = pino({ level: "silent" });
  const livekit = opening.use(startLiveKitServer({ binary: () => testBinary(), logger }));
  const { url, apiKey, apiSecret } = livekit;
  const rooms = createRoomService({ url, apiKey, apiSecret });
  const env = { LIVEKIT_URL: url, LIVEKIT_API_KEY: apiKey, LIVEKIT_API_SECRET: apiSecret };
  const environment = opening.use(
    await startEnvironment({ phrases: [INTRODUCTION, QUESTION], realtime, env }),
  );
  const user = opening.use(await PageUser.at(environment.parley.url));
  const id = await user.start({ room: ROOM, identity: "ada", name: "Ada L." });
  const listener = opening.use(await environment.parley.listen(id, 0));
  await user.say(INTRODUCTION);
  await finalOf(listener, "agent", "Nice to meet you, Ada.");
  await user.agentIs("listening");
  await user.say(QUESTION);
  await finalOf(listener, "agent", "Your name is Ada.");
  await user.reads("agent", "Your name is Ada.");
  await user.agentIs("listening");
  const shown = await user.shown();
  const presentBefore = (await peopleIn(rooms, ROOM)).map(({ kind }) => kind).sort();
  await user.stop();
  await ended(listener, "stopped");
  const { events } = listener;
  const [lines, states, levels] = await Promise.all([
    user.noted("lines"),
    user.noted("states"),
    user.noted("levels"),
  ]);
  open.use(opening.move());
  return { environment, user, rooms, id, events, shown, presentBefore, lines, states, levels };
}

/** The parts of a transcript event that the page shows as well. */
type Shown = Pick<ShownLine, "id" | "role" | "final" | "text">;

function transcriptsOf(events: readonly Envelope[]): Shown[] {
  return events.flatMap(({ type, data }) => (type === "transcript" ? [shownBy(data)] : []));
}

function shownBy(data: { segment_id: string; role: string; final: boolean; text: string }): Shown {
  const { segment_id: id, role, final, text } = data;
  return { id, role, final, text };
}

/** Every version of each segment, by its id, in the order in which the segments began. */
function bySegment(list: readonly Shown[]): Shown[][] {
  return [...Map.groupBy(list, ({ id }) => id).values()];
}

function expectInterimsThenFinals(list: readonly Shown[]): void {
  const segments = bySegment(list);
  expect(segments.map((versions) => versions.at(-1)?.text)).toEqual(
    SAID.map((line) => line.replace(/^\w+: /, "")),
  );
  for (const versions of segments) {
    const finals = versions.map(({ final }) => final);
    expect({ versions, finals }).toEqual({
      versions,
      finals: [...finals.slice(0, -1).fill(false), true],
    });
    expect(versions.length).toBeGreaterThan(1);
    for (const { text } of versions) expect(versions.at(-1)?.text).toStartWith(text);
  }
}

/**
 * How many interims of `role` came before the end of its speech, per turn. They may precede the event
 * of its beginning: on a busy machine voice activity detection is later than the transcription.
 */
function interimsWhileSpeaking(events: readonly Envelope[], role: "user" | "agent"): number[] {
  const counts: number[] = [];
  let interims = 0;
  for (const { type, data } of events) {
    if (type === "transcript" && data.role === role && !data.final) interims++;
    if (type !== "speech" || data.role !== role || data.state !== "stopped") continue;
    counts.push(interims);
    interims = 0;
  }
  return counts;
}

/** Whether `wanted` occurs in `seen` in this order, with anything between. */
function hasInOrder(seen: readonly string[], wanted: readonly string[]): boolean {
  let next = 0;
  for (const one of seen) if (one === wanted[next]) next++;
  return next === wanted.length;
}

/** The conversation that the tests below look at. */
let held: Held;

describe.each([
  { way: "realtime", realtime: true },
  { way: "per utterance", realtime: false },
])("a conversation with $way transcription", ({ realtime }) => {
  const open = new AsyncDisposableStack();

  beforeAll(async () => {
    held = await spoken(() => hold(realtime, open));
  });
  afterAll(() => open.disposeAsync());

  describe("while it is held", () => testTalk(realtime));
  describe("once it is stopped", testStop);
});

function testTalk(realtime: boolean): void {
  test("each segment comes as interims and then once as a final of the same id", () => {
    expectInterimsThenFinals(transcriptsOf(held.events));
    expectInterimsThenFinals(held.lines);
  });

  test("words appear while they are spoken", () => {
    for (const role of realtime ? (["user", "agent"] as const) : (["agent"] as const)) {
      const counts = interimsWhileSpeaking(held.events, role);
      expect(counts).toHaveLength(2);
      expect(Math.min(...counts)).toBeGreaterThan(1);
    }
  });

  test("the words are on the page and stored, and the second turn knows the first", async () => {
    expect(held.shown).toEqual(SAID);
    const transcript = await storedTranscript(held.environment.parley, held.id);
    expect(saidIn(transcript)).toEqual(SAID);
    expect(transcript).toMatchObject({ room: ROOM, identity: "ada", end_reason: "stopped" });
  });

  test("the indicators follow: the user speaks, the agent thinks, speaks and listens again", () => {
    const seen = held.states.map(({ of, state }) => `${of} ${state}`);
    const turn = ["user speaking", "agent thinking", "agent speaking", "agent listening"];
    expect({ seen, inOrder: hasInOrder(seen, [...turn, ...turn]) }).toEqual({
      seen,
      inOrder: true,
    });
    const agent = held.states.filter(({ of }) => of === "agent").map(({ state }) => state);
    const turns = ["thinking", "speaking", "listening", "thinking", "speaking", "listening"];
    expect(agent.slice(agent.indexOf("listening") + 1)).toEqual([...turns, "off"]);
    const status = held.states.filter(({ of }) => of === "status").map(({ state }) => state);
    expect(status).toEqual(["connecting", "live", "stopping", "idle"]);
  });

  test("seq counts up from 1 without a gap", () => {
    expect(held.events.map(({ seq }) => seq)).toEqual(held.events.map((_, index) => index + 1));
  });

  test("the browser plays the agent's voice aloud, as long as it was spoken, and silence otherwise", () => {
    const sounds = soundsIn(held.levels);
    const heardMs = sounds.reduce((sum, { from, to }) => sum + to - from, 0);
    const spoken = held.environment.ai.requests.filter(({ stage }) => stage === "tts");
    const spokenMs = spoken.reduce((sum, { audioMs = 0 }) => sum + audioMs, 0);
    expect(heardMs).toBeWithin(spokenMs * 0.4, spokenMs * 1.3);
    expect(Math.min(...sounds.map(({ peak }) => peak))).toBeGreaterThan(0.05);
    const speaking = held.states.filter(({ of, state }) => of === "agent" && state === "speaking");
    expect(speaking).toHaveLength(2);
    for (const { at } of speaking) {
      const late = sounds.map(({ from }) => from - at).filter((ms) => ms > -500 && ms < 1500);
      expect({ sounds, at, late }).toEqual({ sounds, at, late: [expect.any(Number)] });
    }
    const before = held.levels.filter(({ at }) => at < (speaking[0]?.at ?? 0) - 300);
    expect(before.length).toBeGreaterThan(20);
    expect(Math.max(...before.map(({ rms }) => rms))).toBeLessThan(0.01);
  });
}

function testStop(): void {
  test("Stop leaves nobody in the room, no live session, and the microphone released", async () => {
    expect(held.presentBefore).toEqual(["agent", "standard"]);
    await eventually(
      "the room is empty",
      () => held.rooms.participants(ROOM),
      (present) => present.length === 0,
    );
    expect(await liveSessions(held.environment.parley)).toEqual([]);
    const tracks = () => window.probe.microphones.map(({ readyState }) => readyState);
    expect(await held.user.page.evaluate(tracks)).toEqual(["ended"]);
    expect(await held.user.page.locator("#audio audio").count()).toBe(0);
    expect(await held.user.page.locator("#start").isVisible()).toBe(true);
    expect(held.user.session.complaints).toEqual([]);
  });

  test("stopping again answers the same, and an unknown session 404", async () => {
    const stop = (id: string) =>
      held.environment.parley.fetch(`/session/${id}`, { method: "DELETE" });
    for (const again of [await stop(held.id), await stop(held.id)]) {
      expect(again.status).toBe(200);
      expect(await again.json()).toEqual({ stopped: true });
    }
    expect((await stop(Bun.randomUUIDv7())).status).toBe(404);
    expect((await stop("nonsense")).status).toBe(404);
  });

  test("the history lists it, and its page shows every line and downloads in each format", async () => {
    const { page } = held.user;
    await page.click("text=History");
    await page.click(`#session-link-${held.id}`);
    await page.waitForURL(`**/history/${held.id}`);
    expect(await held.user.shown()).toEqual(SAID);
    const contents = [];
    for (const link of await page.locator(".downloads a").all()) {
      const [download] = await Promise.all([page.waitForEvent("download"), link.click()]);
      const name = download.suggestedFilename();
      contents.push({ name, text: await readFile(await download.path(), "utf8") });
    }
    const endings = contents.map(({ name }) => name.split(".").at(-1));
    expect(endings).toEqual(["txt", "md", "vtt", "srt", "json", "csv"]);
    for (const { name, text } of contents) {
      expect(name).toContain(held.id);
      for (const words of [INTRODUCTION, "Your name is Ada."]) expect(text).toContain(words);
    }
    expect(held.user.session.complaints).toEqual([]);
  });
}
