import { afterAll, beforeAll, expect } from "bun:test";
import { z } from "zod";
import type { Envelope } from "../../src/domain/transcript.ts";
import { ended, event } from "../e2e/environment.ts";
import { ParticipantCall } from "../e2e/participant-call.ts";
import { spokenTest as test } from "../e2e/spoken.ts";
import { eventually, within } from "../e2e/wait.ts";
import { type Listener, type Parley, providerEnv, startParley } from "../parley.ts";
import { type RedisServer, startRedis } from "../redis-server.ts";
import { startStandIn } from "../stand-in/openai.ts";
import { liveKitEnv, startLiveKit } from "./inspected-parley.ts";

// Two instances share a Redis and a LiveKit server: each serves every conversation completely.

const PHRASE = "Hello there.";
const REPLY = "Yes, hello.";

const all = new AsyncDisposableStack();
let redis: RedisServer;
/** What all nodes share. */
let env: Record<string, string>;
/** The node in which the conversations run, and another. */
let here: Parley;
let there: Parley;

beforeAll(async () => {
  redis = all.use(await startRedis());
  const livekit = all.use(await startLiveKit());
  const ai = all.use(
    await startStandIn({
      phrases: [PHRASE],
      reply: () => REPLY,
      prewarm: [REPLY],
      realtime: false,
    }),
  );
  env = { ...providerEnv(ai.url, false), ...liveKitEnv(livekit), REDIS_URL: redis.url };
  // Each has a temporary DATA_DIR, and so a database, of its own.
  [here, there] = await Promise.all([startParley({ env }), startParley({ env })]);
  all.use(here);
  all.use(there);
  await here.ready();
});
afterAll(() => all.disposeAsync());

/** Says something and waits for the end of the answer. */
async function turn(call: ParticipantCall): Promise<void> {
  const { now } = call;
  await call.say(PHRASE);
  await call.final("user", now);
  await call.final("agent", now);
}

async function closedWith(listener: Listener): Promise<number> {
  return (await within("the close", listener.closed)).code;
}

/** What one client got over several connections, one after the other. */
function joined(...connections: Listener[]): Envelope[] {
  return connections.flatMap(({ events }) => events);
}

/** The events of a session without those that only lead to a final text, as a late client gets. */
function inFinalForm(events: Envelope[]): Envelope[] {
  return events.filter(({ type, data }) => type === "transcript" && data.final);
}

test("a client of another node gets a running conversation: whole, from a point on, and to its end", async () => {
  await using call = await ParticipantCall.begin(here);
  await using whole = await there.listen(call.id, 0);
  await turn(call);
  const from = call.now;
  await using part = await there.listen(call.id, from);
  await using late = await there.listen(call.id);
  await turn(call);
  expect((await call.stop()).status).toBe(200);
  const codes = await Promise.all([call.listener, whole, part, late].map(closedWith));
  expect(codes).toEqual([1000, 1000, 1000, 1000]);

  const seqs = whole.events.map(({ seq }) => seq);
  expect(seqs).toEqual(seqs.map((_seq, index) => index + 1));
  expect(whole.events.at(-1)).toMatchObject({ type: "session", data: { state: "ended" } });
  // What the node itself told its own client from the moment it was there.
  const own = call.listener.events;
  expect(whole.events.filter(({ seq }) => seq >= (own[0]?.seq ?? 0))).toEqual(own);
  expect(part.events).toEqual(whole.events.slice(from));
  expect(inFinalForm(late.events)).toEqual(inFinalForm(whole.events));
  expect(inFinalForm(whole.events)).toHaveLength(4);
});

test("a client that changes the node in mid-conversation loses and doubles nothing", async () => {
  await using call = await ParticipantCall.begin(here);
  const first = await here.listen(call.id, 0);
  await turn(call);
  await first[Symbol.asyncDispose]();
  const second = await there.listen(call.id, first.events.length);
  // It leaves in the middle of a turn and misses a part of it.
  const { now } = call;
  await call.say(PHRASE);
  await event(second, "a new event", ({ seq }) => seq > now);
  await second[Symbol.asyncDispose]();
  await call.final("agent", now);
  const upTo = joined(first, second).length;
  const third = await here.listen(call.id, upTo);
  await call.stop();
  expect(await closedWith(third)).toBe(1000);
  const got = joined(first, second, third);
  await using again = await there.listen(call.id, 0);
  expect(await closedWith(again)).toBe(1000);
  expect(got).toEqual(again.events);
});

test("a conversation is shown, refused a second agent, and ended by the other node", async () => {
  await using call = await ParticipantCall.begin(here);
  await turn(call);
  const record = z.looseObject({ room: z.string() });
  const own = await here.json(`/session/${call.id}`, record);
  expect(await there.json(`/session/${call.id}`, record)).toEqual(own);
  const transcript = `/transcripts/${call.id}`;
  expect(await there.json(transcript, z.unknown())).toEqual(
    await here.json(transcript, z.unknown()),
  );
  const { room } = own;
  const second = await there.post("/session", { room });
  expect([second.status, await second.text()]).toEqual([409, expect.stringContaining(room)]);
  const stopped = await there.fetch(`/session/${call.id}`, { method: "DELETE" });
  expect(stopped.status).toBe(200);
  expect(await closedWith(call.listener)).toBe(1000);
});

test("without Redis the conversation goes on, and the other node catches up once it is back", async () => {
  await using call = await ParticipantCall.begin(here);
  await using abroad = await there.listen(call.id, 0);
  await turn(call);
  await redis.kill();
  await turn(call);
  await using home = await here.listen(call.id, 0);
  await turn(call);
  await redis.start();
  expect((await call.stop()).status).toBe(200);
  await ended(home, "stopped");
  expect(await closedWith(home)).toBe(1000);
  const seqs = home.events.map(({ seq }) => seq);
  expect(seqs).toEqual(seqs.map((_seq, index) => index + 1));
  expect(inFinalForm(home.events)).toHaveLength(6);
  expect(await closedWith(abroad)).toBe(1000);
  expect(abroad.events).toEqual(home.events);
});

test("a node that is killed: the others end its conversation", async () => {
  await using doomed = await startParley({ env });
  await doomed.ready();
  const id = await doomed.startSession({ room: "doomed" });
  await using abroad = await there.listen(id);
  await doomed.stop("SIGKILL");
  await ended(abroad, "crashed");
  expect(await closedWith(abroad)).toBe(1000);
  // Its history is in its own database. Each node notices for itself that it is gone.
  const look = async () => (await there.fetch(`/session/${id}`)).status;
  await eventually("the session is unknown", look, (status) => status === 404);
});

test("of a session that no node knows there is nothing to hear", async () => {
  const unknown = `/ws/transcript/${Bun.randomUUIDv7()}`;
  for (const node of [here, there]) expect((await node.fetch(unknown)).status).toBe(404);
});
