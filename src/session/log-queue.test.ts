import { expect, test } from "bun:test";
import { sessionOf, temporaryStores } from "../../test/database.ts";
import { memoryLogger, transcriptEvent } from "../../test/event-log.ts";
import { LogQueue } from "./log-queue.ts";

/** A queue over real stores, with one session that has begun. */
function open(maxWaiting?: number) {
  const stores = temporaryStores();
  const logger = memoryLogger();
  const queue = new LogQueue({ log: stores.log, logger }, maxWaiting);
  const session = sessionOf({ state: "starting" });
  queue.begin(session);
  const refuse = (refused: boolean) =>
    stores.database.handle.pragma(`query_only = ${refused ? 1 : 0}`);
  const say = (text: string, final: boolean, segment_id = text) =>
    queue.append(session.id, transcriptEvent(text, { segment_id, final }), 0);
  const close = async () => {
    await queue[Symbol.asyncDispose]();
    stores[Symbol.dispose]();
  };
  return {
    ...{ ...stores, logger, queue, refuse, say },
    id: session.id,
    [Symbol.asyncDispose]: close,
  };
}

test("a shutdown stores what waits, in order, however much it is", async () => {
  await using store = open();
  store.refuse(true);
  for (let at = 0; at < 300; at += 1) store.say(`word ${at}`, true);
  let stored = false;
  store.queue.end(store.id, "stopped", 5, () => {
    stored = true;
  });
  store.refuse(false);
  expect(stored).toBe(false);
  await store.queue[Symbol.asyncDispose]();
  expect(stored).toBe(true);
  const texts = store.transcripts.segments(store.id).map(({ text }) => text);
  expect(texts).toEqual(Array.from({ length: 300 }, (_, at) => `word ${at}`));
  expect(store.published.at(-1)).toMatchObject({ data: { state: "ended" } });
});

test("a shutdown gives up a disk that goes on refusing, and says what is lost", async () => {
  await using store = open();
  store.refuse(true);
  store.say("lost", true);
  store.queue.end(store.id, "shutdown", 5, () => {});
  await store.queue[Symbol.asyncDispose]();
  expect(store.logger.lines.at(-1)).toMatchObject({ sessions: 1, writes: 2 });
  store.refuse(false);
});

test("beyond a bound the oldest events go that are no words, then the oldest words; logged once", async () => {
  await using store = open(20);
  store.refuse(true);
  store.queue.append(store.id, { type: "agent_state", data: { state: "thinking" } }, 0);
  for (let at = 0; at < 21; at += 1) store.say(`word ${at}`, true);
  store.queue.end(store.id, "stopped", 5, () => {});
  store.refuse(false);
  await store.queue[Symbol.asyncDispose]();
  const stored = store.published
    .slice(1)
    .map(({ type, data }) => ("text" in data ? data.text : type));
  expect([stored[0], stored.at(-2), stored.at(-1)]).toEqual(["word 2", "word 20", "session"]);
  const lost = store.logger.lines.filter(({ msg }) => String(msg).includes("the oldest are lost"));
  expect(lost).toHaveLength(1);
});

test("an event that can never be stored is logged, and holds up nothing", async () => {
  await using store = open();
  store.queue.append(Bun.randomUUIDv7(), transcriptEvent("whose?"), 0);
  store.say("mine", true);
  expect(store.transcripts.segments(store.id)).toHaveLength(1);
  expect(store.logger.lines.map(({ msg }) => msg)).toEqual(["an event of a session was lost"]);
  expect(store.queue.failure).toBeUndefined();
});
