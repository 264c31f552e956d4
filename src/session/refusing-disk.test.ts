import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import { failureOf } from "../../test/failure-of.ts";
import { ManagerFixture, settle } from "../../test/session-manager.ts";

const SECOND = 1000;

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

const WAITS = "conversations wait in memory until they can be stored";
const AGAIN = "conversations are stored again";

/** The log lines about the disk. */
function reports({ logger }: ManagerFixture): unknown[] {
  return logger.lines.map(({ msg }) => msg).filter((msg) => msg === WAITS || msg === AGAIN);
}

async function theDiskIsBack(fixture: ManagerFixture): Promise<void> {
  fixture.refuseWrites(false);
  jest.advanceTimersByTime(6 * SECOND);
  await settle();
}

test("what is said while the disk refuses is stored and heard later, in order, and logged once", async () => {
  await using fixture = new ManagerFixture();
  const { id } = await fixture.manager.start({ room: "r", identity: "ann" });
  const { onSignal } = fixture.agent.options;
  fixture.refuseWrites(true);
  const before = fixture.events.length;
  onSignal({ kind: "user_text", text: "One", final: false });
  onSignal({ kind: "user_text", text: "One two", final: false });
  onSignal({ kind: "user_turn", text: "One two three." });
  jest.advanceTimersByTime(20 * SECOND);
  onSignal({ kind: "user_turn", text: "Four." });
  onSignal({ kind: "user_text", text: "Fi", final: false });
  onSignal({ kind: "user_text", text: "Five", final: false });
  expect(fixture.events).toHaveLength(before);
  expect(reports(fixture)).toEqual([WAITS]);
  const saidAt = Date.now();
  await theDiskIsBack(fixture);
  expect(reports(fixture)).toEqual([WAITS, AGAIN]);
  const heard = fixture.events.slice(before).map(([, { data }]) => "text" in data && data.text);
  expect(heard).toEqual(["One two three.", "Four.", "Five"]);
  const segments = fixture.transcripts.segments(id).map(({ text, ended_at }) => [text, ended_at]);
  expect(segments).toEqual([
    ["One two three.", saidAt - 20 * SECOND],
    ["Four.", saidAt],
  ]);
  onSignal({ kind: "user_turn", text: "Five." });
  expect(fixture.transcripts.segments(id)).toHaveLength(3);
});

test("a session ends while the disk refuses: room and slot are free, and the end is stored once", async () => {
  const variables = { STT_REALTIME: "false", MAX_SESSIONS: "1" };
  await using fixture = new ManagerFixture({}, variables);
  const { manager } = fixture;
  const { id } = await manager.start({ room: "r", identity: "ann" });
  fixture.agent.options.onSignal({ kind: "user_text", text: "and then we", final: false });
  fixture.refuseWrites(true);
  await manager.stop(id);
  expect([manager.liveCount, fixture.stagesInUse]).toEqual([0, 0]);
  const endedAt = Date.now();
  // Stored is that it runs; true is that it ends, until that is stored.
  expect(fixture.sessions.find(id)?.state).toBe("active");
  expect(manager.sessions.find(id)).toMatchObject({ state: "ending", ended_at: null });
  expect(manager.sessions.live().map((session) => session.id)).toEqual([id]);
  expect(manager.sessions.page({ limit: 5 }).sessions[0]?.state).toBe("ending");
  await manager.stop(id);
  expect((await failureOf(manager.say(id, "Hello?"))).kind).toBe("conflict");
  await theDiskIsBack(fixture);
  expect(fixture.states(id).slice(2)).toEqual(["ending stopped", "ended stopped"]);
  expect(manager.sessions.find(id)).toMatchObject({ state: "ended", ended_at: endedAt });
  expect(manager.sessions.live()).toEqual([]);
  expect(fixture.transcripts.segments(id)).toMatchObject([
    { text: "and then we", interrupted: true },
  ]);
  expect((await manager.start({ room: "r" })).state).toBe("active");
  expect(reports(fixture)).toEqual([WAITS, AGAIN]);
});

test("an end by itself is stored late too, and the next session can have the room", async () => {
  await using fixture = new ManagerFixture();
  const { id } = await fixture.manager.start({ room: "r" });
  fixture.refuseWrites(true);
  fixture.agent.options.onEnd("room_closed");
  await settle();
  expect(fixture.manager.liveCount).toBe(0);
  await theDiskIsBack(fixture);
  expect(fixture.sessions.find(id)?.end_reason).toBe("room_closed");
  expect(fixture.errors()).toEqual(["session_room_closed"]);
});

test("a start names the disk, what to do, and leaves nothing", async () => {
  await using fixture = new ManagerFixture();
  fixture.refuseWrites(true);
  const failure = await failureOf(fixture.manager.start({ room: "r" }));
  expect(failure.kind).toBe("unavailable");
  expect(failure.message).toMatch(/parley\.db cannot be written\. Check its disk/);
  expect(fixture.agents).toEqual([]);
  fixture.expectNothingLeft();
  expect(fixture.manager.sessions.live()).toEqual([]);
  fixture.refuseWrites(false);
  expect((await fixture.manager.start({ room: "r" })).state).toBe("active");
});

test("a start that fails while the disk refuses leaves nothing once it is back", async () => {
  await using fixture = new ManagerFixture();
  fixture.held = true;
  const starting = fixture.manager.start({ room: "r" }).catch(() => {});
  await settle();
  fixture.refuseWrites(true);
  const caller = fixture.manager.sessions.live()[0]?.id ?? "";
  fixture.agent.options.onEnd("agent_failed");
  fixture.agent.joined.resolve();
  await starting;
  expect(fixture.manager.liveCount).toBe(0);
  await theDiskIsBack(fixture);
  expect(fixture.sessions.find(caller)?.end_reason).toBe("agent_failed");
});

test("what is running is known while the disk refuses, and the reason for /ready", async () => {
  await using fixture = new ManagerFixture();
  const { manager } = fixture;
  const { id } = await manager.start({ room: "r" });
  expect(manager.storageFailure).toBeUndefined();
  fixture.refuseWrites(true);
  fixture.agent.options.onUser({ identity: "ann", name: "Ann" });
  expect(manager.sessions.find(id)).toMatchObject({ state: "active", identity: "ann" });
  expect(manager.storageFailure?.message).toContain("cannot be written");
  await manager.say(id, "Still there?");
  expect(fixture.agent.said).toEqual(["Still there?"]);
  await theDiskIsBack(fixture);
  expect(manager.storageFailure).toBeUndefined();
  expect(fixture.sessions.find(id)).toMatchObject({ identity: "ann" });
});
