import { afterAll, beforeAll, expect } from "bun:test";
import { within } from "./deadline.ts";
import { Guest } from "./guest.ts";
import { spoken, spokenTest as test } from "./spoken.ts";
import {
  ended,
  event,
  finalOf,
  liveSessions,
  openWorld,
  saidIn,
  storedTranscript,
  type World,
} from "./world.ts";

const STORY = "Tell me a story.";
const NAME = "My name is Ada.";
const HELLO = "Hello again.";
const HELLO_SAID = [`user: ${HELLO}`, `agent: You said: ${HELLO}`];

/** A session whose only tab was closed. */
interface Abandoned {
  id: string;
  room: string;
  closedAt: number;
  /** When it ended. */
  ended: Promise<number>;
}

const open = new AsyncDisposableStack();
let world: World;
let abandoned: Abandoned;

beforeAll(async () => {
  world = open.use(await openWorld({ phrases: [STORY, NAME, HELLO] }));
  // Its grace time passes while the other tests run.
  abandoned = await spoken(() => closeTheTab(`garden ${crypto.randomUUID()}`));
});
afterAll(() => open.disposeAsync());

async function closeTheTab(room: string): Promise<Abandoned> {
  await using guest = await Guest.at(world.parley.url);
  const id = await guest.start({ room });
  const listener = open.use(await world.parley.listen(id));
  await guest.say(HELLO);
  await finalOf(listener, "agent", `You said: ${HELLO}`);
  const closedAt = Date.now();
  await guest.page.close();
  const end = ended(listener, "user_left");
  end.catch(() => {});
  return { id, room, closedAt, ended: end.then(({ at }) => Date.parse(at)) };
}

test("after a reload while the agent speaks, the conversation is found again and goes on", async () => {
  await using guest = await Guest.at(world.parley.url);
  const id = await guest.start({ room: `kitchen ${crypto.randomUUID()}` });
  await using listener = await world.parley.listen(id, 0);
  await guest.say(STORY);
  await guest.reads("user", STORY);
  await guest.hears(Date.now(), 1000);

  await guest.page.reload();
  expect(await guest.live()).toBe(id);
  await event(
    listener,
    "the story ends with what was heard of it",
    ({ type, data }) => type === "transcript" && data.final && data.interrupted === true,
  );
  const [story = ""] = listener.finals("agent");
  expect("Once upon a time a small boat left the harbour before sunrise.").toStartWith(
    story.slice(0, 60),
  );
  const before = [`user: ${STORY}`, `agent: ${story}`];
  await guest.reads("agent", story);
  expect(await guest.shown()).toEqual(before);

  const { to } = await guest.say(NAME);
  await guest.hears(to);
  await guest.reads("agent", "Nice to meet you, Ada.");
  const all = [...before, `user: ${NAME}`, "agent: Nice to meet you, Ada."];
  expect(await guest.shown()).toEqual(all);
  expect(await guest.page.locator("#transcript [data-interrupted=true]").count()).toBe(1);
  expect(saidIn(await storedTranscript(world.parley, id))).toEqual(all);
  expect(listener.events.map(({ seq }) => seq)).toEqual(listener.events.map((_, i) => i + 1));
  await guest.stop();
  expect(guest.visitor.complaints).toEqual([]);
});

test("three sessions in a row in one room all hear and answer, and each keeps its words", async () => {
  const room = `office ${crypto.randomUUID()}`;
  await using guest = await Guest.at(world.parley.url);
  await guest.page.fill("#room", room);
  const ids: string[] = [];
  for (const round of [1, 2, 3]) {
    const begun = Date.now();
    ids.push(await guest.start());
    await guest.say(HELLO);
    await guest.reads("agent", `You said: ${HELLO}`);
    await guest.hears(begun);
    expect({ round, shown: await guest.shown() }).toEqual({ round, shown: HELLO_SAID });
    await guest.stop();
  }
  expect(new Set(ids).size).toBe(3);
  for (const id of ids) {
    const transcript = await storedTranscript(world.parley, id);
    expect(transcript).toMatchObject({ room, end_reason: "stopped" });
    expect(saidIn(transcript)).toEqual(HELLO_SAID);
    await guest.page.waitForSelector(`#recent a[href="/history/${id}"]`);
  }
  expect(guest.visitor.complaints).toEqual([]);
});

test("a closed tab ends its session after the grace time, and its room is free again", async () => {
  const { id, room, closedAt } = abandoned;
  const endedAt = await within("the session ends", abandoned.ended);
  expect(endedAt - closedAt).toBeWithin(13_000, 20_000);
  const transcript = await storedTranscript(world.parley, id);
  expect(transcript.end_reason).toBe("user_left");
  expect(saidIn(transcript)).toEqual(HELLO_SAID);
  expect(await liveSessions(world.parley)).not.toContain(id);

  await using guest = await Guest.at(world.parley.url);
  const again = await guest.start({ room });
  expect(again).not.toBe(id);
  expect(await guest.shown()).toEqual([]);
  await guest.stop();
  expect(saidIn(await storedTranscript(world.parley, id))).toEqual(HELLO_SAID);
});
