import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { Room, RoomEvent } from "@livekit/rtc-node";
import { z } from "zod";
import { userToken } from "../../src/livekit/tokens.ts";
import { speak } from "../audio/speech.ts";
import { type Caller, joinRoom } from "../caller.ts";
import { ended, event, liveSessions } from "../e2e/environment.ts";
import { RoomRecorder } from "../e2e/room-recorder.ts";
import { saying, spoken } from "../e2e/spoken.ts";
import { eventually, within } from "../e2e/wait.ts";
import {
  type Holdings,
  type InspectedParley,
  liveKitEnv,
  startInspectedParley,
} from "./inspected-parley.ts";

// What grows with each session ends every server that runs for long. Each cycle is a whole session:
// somebody joins a room, the agent comes, some talk, and it ends in one of the ways sessions end.
// What the process holds is compared between two windows of ten cycles by their medians, after the
// first ten, in which code is compiled and pools fill.

const CYCLES = 50;
const MB = 1_000_000;
/**
 * What the medians of two equal runs differ by a cycle, with the code that is compiled meanwhile;
 * one session's audio alone, were it kept, would be several times that.
 */
const NOISE_A_CYCLE = 0.5 * MB;
/**
 * What LiveKit's native library keeps of a room in which somebody else publishes when it is left
 * (livekit/rust-sdks #1378).
 */
const KEPT_OF_A_SHARED_ROOM = 0.45 * MB;
/** In every third cycle the agent leaves such a room. */
const SHARED = 1 / 3;
/** Of 0.4 MB and more that a room took which was kept whole (livekit/rust-sdks #1405). */
const KEPT_OF_A_LEFT_ROOM = 0.2 * MB;
/** Open files of a process that has answered some requests differ by its idle connections. */
const SPARE_DESCRIPTORS = 4;
/** Timers of Parley's own, of its sockets and of requests on their way; ten sessions' are more. */
const SPARE_TIMERS = 6;
/** Lets the C library give back what is free, so that only what is kept counts as growth. */
const ONE_ARENA = { MALLOC_ARENA_MAX: "1" };
const PHRASE = "Hello there.";
const REPLY = "Yes.";

let environment: InspectedParley;
beforeAll(async () => {
  environment = await startInspectedParley({
    phrases: [PHRASE],
    reply: () => REPLY,
    prewarm: [REPLY],
    realtime: false,
    env: ONE_ARENA,
  });
});
afterAll(() => environment[Symbol.asyncDispose]());

/** How a cycle's session ends. */
type End = "stopped" | "left first" | "room closed";

async function cycle(number: number, end: End, turn = false): Promise<void> {
  const { parley, rooms } = environment;
  const room = `cycle-${number}-${crypto.randomUUID()}`;
  const caller = await joinRoom(parley, room, "ada");
  const id = await parley.startSession({ room, identity: "ada" });
  await using listener = await parley.listen(id);
  if (turn) {
    await say(caller, room);
    await event(listener, "the agent's answer", ({ type, data }) => {
      return type === "transcript" && data.role === "agent" && data.final;
    });
  } else await hasAgentsTrack(caller.room);
  if (end === "left first") await caller[Symbol.asyncDispose]();
  if (end === "room closed") await rooms.deleteRoom(room);
  else await parley.fetch(`/session/${id}`, { method: "DELETE" });
  await ended(listener, end === "room closed" ? "room_closed" : "stopped");
  if (end !== "left first") await caller[Symbol.asyncDispose]();
  await within("the WebSocket's end", listener.closed);
}

async function say(caller: Caller, room: string): Promise<void> {
  await caller.listenedTo();
  await using recorder = await RoomRecorder.in(environment.parley, room, "ada");
  await saying(recorder, PHRASE, () => caller.speak(speak(PHRASE, { rate: 48_000 })));
}

/** Waits until the agent has published its voice. A room closed before that takes rtc-node 10 s. */
async function hasAgentsTrack(room: Room): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  room.once(RoomEvent.TrackSubscribed, () => resolve());
  const others = [...room.remoteParticipants.values()];
  if (others.some((one) => [...one.trackPublications.values()].some(({ track }) => track)))
    resolve();
  await within("the agent's voice", promise);
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function mb(bytes: number): string {
  return (bytes / MB).toFixed(2);
}

/** How much something grew from the second ten cycles to the last ten. */
function growth(seen: number[]): number {
  return median(seen.slice(-10)) - median(seen.slice(10, 20));
}

function column(seen: Holdings[], name: keyof Holdings): number[] {
  return seen.map((one) => one[name]);
}

/** Classes of which there are more objects than before, beyond those of one session. */
function kept(before: Record<string, number>, after: Record<string, number>): string[] {
  return Object.entries(after)
    .filter(([name, count]) => count - (before[name] ?? 0) > 4)
    .map(([name, count]) => `${name}: ${before[name] ?? 0} → ${count}`);
}

const bareMemory = z.object({ anonymous: z.array(z.number()) });

/** The memory of a process that only joins and leaves rooms, after each. */
async function bareRooms(): Promise<number[]> {
  const child = Bun.spawn(
    [process.execPath, join(import.meta.dir, "bare-rooms.ts"), String(CYCLES)],
    {
      env: {
        ...Bun.env,
        ...liveKitEnv(environment.livekit),
        ...ONE_ARENA,
        NODE_ENV: "production",
      },
      stderr: "inherit",
    },
  );
  return bareMemory.parse(await child.stdout.json()).anonymous;
}

test("fifty sessions later the process holds what it held after ten", async () => {
  const seen: Holdings[] = [];
  let before: Record<string, number> = {};
  for (let number = 0; number < CYCLES; number++) {
    const end = number % 3 === 1 ? "stopped" : "left first";
    await spoken(() => cycle(number, end, number % 10 === 0));
    seen.push(await environment.look());
    if (number === 9) before = await environment.objects();
  }
  expect(kept(before, await environment.objects())).toEqual([]);
  expect(column(seen, "rtcListeners").slice(10)).toEqual(Array(CYCLES - 10).fill(0));
  expect(growth(column(seen, "processListeners"))).toBe(0);
  expect(growth(column(seen, "timers"))).toBeLessThanOrEqual(SPARE_TIMERS);
  expect(growth(column(seen, "threads"))).toBeLessThanOrEqual(1);
  expect(growth(column(seen, "descriptors"))).toBeLessThanOrEqual(SPARE_DESCRIPTORS);
  const cycles = CYCLES - 20;
  const own = growth(column(seen, "anonymous")) / cycles;
  const heap = growth(column(seen, "heapUsed")) / cycles;
  console.log(`memory grows by ${mb(own)} MB a session, JavaScript's heap by ${mb(heap)}`);
  expect(own).toBeLessThan(NOISE_A_CYCLE + SHARED * KEPT_OF_A_SHARED_ROOM);
});

test("a room that is left is not kept", async () => {
  const kept = growth(await bareRooms()) / (CYCLES - 20);
  console.log(`memory grows by ${mb(kept)} MB a room`);
  expect(kept).toBeLessThan(KEPT_OF_A_LEFT_ROOM);
});

test("sessions whose room the server closes leave nothing behind", async () => {
  for (let number = 0; number < 2; number++) await cycle(100 + number, "room closed");
  const before = [await environment.look(), await environment.objects()] as const;
  for (let number = 0; number < 10; number++) await cycle(110 + number, "room closed");
  const after = await environment.look();
  expect(after.rtcListeners).toBe(0);
  // LiveKit's native library never ends the thread of a track whose room the server closed, though
  // every handle to it is given back (livekit/rust-sdks #1443).
  expect(after.threads).toBeLessThanOrEqual(before[0].threads + 10);
  expect(after.descriptors).toBeLessThanOrEqual(before[0].descriptors + SPARE_DESCRIPTORS);
  // agents-js gives the tasks of a session 5 s to end, by a timer that it leaves to run out.
  await eventually(
    "timers of ended sessions have run out",
    async () => (await environment.look()).timers,
    (timers) => timers <= before[0].timers + SPARE_TIMERS,
  );
  await eventually(
    "nothing of ended sessions",
    async () => kept(before[1], await environment.objects()),
    (names) => names.length === 0,
  );
});

test("sessions that are stopped while they start leave nothing behind", async () => {
  const { parley, rooms } = environment;
  const before = [await environment.look(), await environment.objects()] as const;
  for (let number = 0; number < 10; number++) {
    const room = `hasty-${number}`;
    const started = parley.post("/session", { room, identity: "ada" });
    const [id] = await untilOneLives();
    await parley.fetch(`/session/${id}`, { method: "DELETE" });
    expect([201, 409]).toContain((await started).status);
    // LiveKit itself takes a moment to note that somebody left.
    await eventually("the empty room", () => rooms.participants(room), isEmpty);
  }
  const after = await environment.look();
  expect(after.rtcListeners).toBe(0);
  expect(after.descriptors).toBeLessThanOrEqual(before[0].descriptors + SPARE_DESCRIPTORS);
  expect(kept(before[1], await environment.objects())).toEqual([]);

  function isEmpty(participants: unknown[]): boolean {
    return participants.length === 0;
  }

  function untilOneLives(): Promise<string[]> {
    return eventually(
      "a session lives",
      () => liveSessions(parley),
      (ids) => ids.length > 0,
    );
  }
});

test("a session that nobody listens to ends as fast as any other", async () => {
  const { parley, livekit } = environment;
  await using usual = await joinRoom(parley, "usual", "ada");
  const listenedTo = await parley.startSession({ room: "usual", identity: "ada" });
  await hasAgentsTrack(usual.room);
  const usualMs = await stopMs(listenedTo);
  const { apiKey, apiSecret } = livekit;
  const who = { room: "deaf", identity: "ada", name: "Ada" };
  const token = await userToken({ apiKey, apiSecret, ...who });
  const deaf = new Room();
  await deaf.connect(livekit.url, token, { autoSubscribe: false, dynacast: false });
  const id = await parley.startSession({ room: "deaf", identity: "ada" });
  const deafMs = await stopMs(id);
  // Were a listener waited for, it would take the 4 s that the end of a conversation may take.
  expect({ usualMs, deafMs, asFast: deafMs < usualMs + 2000 }).toMatchObject({ asFast: true });
  await deaf.disconnect();
  expect((await environment.look()).rtcListeners).toBe(0);
});

/** Stops a session and answers how long that took. */
async function stopMs(id: string): Promise<number> {
  const asked = performance.now();
  const stopped = await environment.parley.fetch(`/session/${id}`, { method: "DELETE" });
  expect(stopped.status).toBe(200);
  return performance.now() - asked;
}

test("sessions that cannot start leave nothing behind", async () => {
  const { parley, livekit } = environment;
  await livekit[Symbol.asyncDispose]();
  const start = async (number: number) => {
    const response = await parley.post("/session", { room: `fails-${number}`, identity: "ada" });
    expect(response.status).toBe(503);
  };
  await start(0);
  const before = [await environment.look(), await environment.objects()] as const;
  for (let number = 1; number <= 10; number++) await start(number);
  const after = await environment.look();
  expect(after.rtcListeners).toBe(0);
  expect(after.timers).toBeLessThanOrEqual(before[0].timers + SPARE_TIMERS);
  expect(after.descriptors).toBeLessThanOrEqual(before[0].descriptors + SPARE_DESCRIPTORS);
  expect(kept(before[1], await environment.objects())).toEqual([]);
  expect(await liveSessions(parley)).toEqual([]);
});
