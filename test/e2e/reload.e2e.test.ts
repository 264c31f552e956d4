import { afterAll, beforeAll, expect } from "bun:test";
import {
  ended,
  event,
  finalOf,
  liveSessions,
  saidIn,
  startEnvironment,
  storedTranscript,
  type TestEnvironment,
} from "./environment.ts";
import { PageUser } from "./page-user.ts";
import { spoken, spokenTest as test } from "./spoken.ts";
import { within } from "./wait.ts";

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
let environment: TestEnvironment;
let abandoned: Abandoned;

beforeAll(async () => {
  environment = open.use(await startEnvironment({ phrases: [STORY, NAME, HELLO] }));
  // Its grace time passes while the other tests run.
  abandoned = await spoken(() => closeTheTab(`garden ${crypto.randomUUID()}`));
});
afterAll(() => open.disposeAsync());

async function closeTheTab(room: string): Promise<Abandoned> {
  await using user = await PageUser.at(environment.parley.url);
  const id = await user.start({ room });
  const listener = open.use(await environment.parley.listen(id));
  await user.say(HELLO);
  await finalOf(listener, "agent", `You said: ${HELLO}`);
  const closedAt = Date.now();
  await user.page.close();
  const end = ended(listener, "user_left");
  end.catch(() => {});
  return { id, room, closedAt, ended: end.then(({ at }) => Date.parse(at)) };
}

test("after a reload while the agent speaks, the conversation is found again and goes on", async () => {
  await using user = await PageUser.at(environment.parley.url);
  const id = await user.start({ room: `kitchen ${crypto.randomUUID()}` });
  await using listener = await environment.parley.listen(id, 0);
  await user.say(STORY);
  await user.reads("user", STORY);
  await user.hears(Date.now(), 1000);

  await user.page.reload();
  expect(await user.live()).toBe(id);
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
  await user.reads("agent", story);
  expect(await user.shown()).toEqual(before);

  const { to } = await user.say(NAME);
  await user.hears(to);
  await user.reads("agent", "Nice to meet you, Ada.");
  const all = [...before, `user: ${NAME}`, "agent: Nice to meet you, Ada."];
  expect(await user.shown()).toEqual(all);
  expect(await user.page.locator("#transcript [data-interrupted=true]").count()).toBe(1);
  expect(saidIn(await storedTranscript(environment.parley, id))).toEqual(all);
  expect(listener.events.map(({ seq }) => seq)).toEqual(listener.events.map((_, i) => i + 1));
  await user.stop();
  expect(user.session.complaints).toEqual([]);
});

test("three sessions in a row in one room all hear and answer, and each keeps its words", async () => {
  const room = `office ${crypto.randomUUID()}`;
  await using user = await PageUser.at(environment.parley.url);
  await user.page.fill("#room", room);
  const ids: string[] = [];
  for (const round of [1, 2, 3]) {
    const begun = Date.now();
    ids.push(await user.start());
    await user.say(HELLO);
    await user.reads("agent", `You said: ${HELLO}`);
    await user.hears(begun);
    expect({ round, shown: await user.shown() }).toEqual({ round, shown: HELLO_SAID });
    await user.stop();
  }
  expect(new Set(ids).size).toBe(3);
  for (const id of ids) {
    const transcript = await storedTranscript(environment.parley, id);
    expect(transcript).toMatchObject({ room, end_reason: "stopped" });
    expect(saidIn(transcript)).toEqual(HELLO_SAID);
    await user.page.waitForSelector(`#recent a[href="/history/${id}"]`);
  }
  expect(user.session.complaints).toEqual([]);
});

test("a closed tab ends its session after the grace time, and its room is free again", async () => {
  const { id, room, closedAt } = abandoned;
  const endedAt = await within("the session ends", abandoned.ended);
  expect(endedAt - closedAt).toBeWithin(13_000, 20_000);
  const transcript = await storedTranscript(environment.parley, id);
  expect(transcript.end_reason).toBe("user_left");
  expect(saidIn(transcript)).toEqual(HELLO_SAID);
  expect(await liveSessions(environment.parley)).not.toContain(id);

  await using user = await PageUser.at(environment.parley.url);
  const again = await user.start({ room });
  expect(again).not.toBe(id);
  expect(await user.shown()).toEqual([]);
  await user.stop();
  expect(saidIn(await storedTranscript(environment.parley, id))).toEqual(HELLO_SAID);
});
