import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { type Parley, providerEnv, startParley } from "../parley.ts";
import { type StandIn, startStandIn } from "../stand-in/openai.ts";
import { liveSessions, saidIn, storedTranscript } from "./environment.ts";
import { LiveKitChild } from "./livekit-child.ts";
import { PageUser } from "./page-user.ts";
import { TcpProxy } from "./tcp-proxy.ts";
import { eventually } from "./wait.ts";

const open = new AsyncDisposableStack();
const livekit = open.use(new LiveKitChild());
let ai: StandIn;
let parley: Parley;
let user: PageUser;

beforeAll(async () => {
  ai = open.use(await startStandIn());
  const env = { ...providerEnv(ai.url, true), ...livekit.env, MAX_SESSIONS: "1" };
  parley = open.use(await startParley({ env }));
  user = open.use(await PageUser.at(parley.url));
});
beforeEach(() => livekit.start());
afterAll(() => open.disposeAsync());

/** Presses Start in a room of its own, which is answered. */
async function pressStart(who = user): Promise<string> {
  const room = `room-${crypto.randomUUID()}`;
  await who.page.fill("#room", room);
  await who.page.click("#start");
  return room;
}

/** Waits for a notice of this title, and answers all that it says. */
async function notice(title: string, who = user): Promise<string> {
  await who.until(
    `the notice "${title}"`,
    (title) =>
      document.getElementById("notice")?.hidden === false &&
      document.getElementById("notice-title")?.textContent === title,
    title,
  );
  return (await who.page.textContent("#notice-detail")) ?? "";
}

/** Nothing is left half open, on the page, in Parley or in the room. */
async function expectNothingLeft(room?: string, of = parley, who = user): Promise<void> {
  await who.until(
    "the page can start again",
    () => document.getElementById("start")?.hidden === false,
  );
  await eventually(
    "no session is left",
    () => liveSessions(of),
    (live) => live.length === 0,
  );
  await who.until("the microphone is released", () =>
    window.probe.microphones.every(({ readyState }) => readyState === "ended"),
  );
  expect(await who.page.getAttribute("#agent-state", "data-state")).toBe("off");
  if (room === undefined) return;
  await eventually(
    "nobody is in the room",
    () => livekit.rooms.participants(room),
    (present) => present.length === 0,
  );
}

/** A conversation begins as if nothing had happened, by Start or by the notice's own button. */
async function expectStartWorks(button = "#start", who = user): Promise<void> {
  await who.page.click(button);
  await who.live();
  await who.agentIs("listening");
  expect(await who.page.isHidden("#notice")).toBe(true);
  await who.stop();
}

describe("when LiveKit", () => {
  test("cannot be reached at the start, the page says so and works once it can", async () => {
    await livekit.kill();
    await pressStart();
    expect(await notice("The conversation could not start")).toContain("LiveKit");
    await expectNothingLeft();
    const refused = await parley.post("/session", { room: "r", identity: "ada" });
    expect([502, 503]).toContain(refused.status);
    expect(await liveSessions(parley)).toEqual([]);
    await livekit.start();
    await expectStartWorks("#notice-action");
  });

  test("dies in the middle of a conversation, the page leaves it and the next one works", async () => {
    const room = await pressStart();
    await user.live();
    await user.agentIs("listening");
    const died = Date.now();
    await livekit.kill();
    await user.until("the page is not live", () => {
      const { state } = document.getElementById("status")?.dataset ?? {};
      return state === "reconnecting" || state === "failed";
    });
    expect(await user.page.getAttribute("#agent-state", "data-state")).toBe("off");
    const noticedMs = Date.now() - died;
    expect(noticedMs).toBeLessThan(5000);
    // Both ends try for some 20 s to come back before they give up.
    await user.until("the page gives up", () => {
      const title = document.getElementById("notice-title")?.textContent ?? "";
      return ["The agent lost its connection", "The connection was lost"].includes(title);
    });
    console.log(
      `LiveKit died: noticed after ${noticedMs} ms, given up after ${Date.now() - died} ms`,
    );
    await livekit.start();
    await expectNothingLeft(room);
    await expectStartWorks();
  });
});

describe("when a conversation cannot start", () => {
  test("since the token is refused or Parley cannot be reached, Try again works", async () => {
    const { page } = user;
    await page.route("**/token?*", (route) =>
      route.fulfill({ status: 503, json: { title: "Unavailable", detail: "Out for lunch." } }),
    );
    await pressStart();
    expect(await notice("The conversation could not start")).toBe("Out for lunch.");
    await expectNothingLeft();
    await page.unroute("**/token?*");
    await page.route("**/token?*", (route) => route.abort());
    await page.click("#notice-action");
    expect(await notice("Parley cannot be reached")).toContain("try again");
    await expectNothingLeft();
    await page.unroute("**/token?*");
    await expectStartWorks("#notice-action");
  });

  test("since there is no microphone, the page says what to do and works once there is", async () => {
    await user.page.evaluate(() => {
      const devices = navigator.mediaDevices;
      const open = devices.getUserMedia;
      devices.getUserMedia = () => {
        devices.getUserMedia = open;
        return Promise.reject(new DOMException("no device", "NotFoundError"));
      };
    });
    const room = await pressStart();
    expect(await notice("No microphone was found")).toContain("Plug one in");
    await expectNothingLeft(room);
    await expectStartWorks("#notice-action");
  });

  test("since the microphone is denied, the page says what to do and works once it is allowed", async () => {
    await using shy = await PageUser.at(parley.url, { denyMicrophone: true });
    const room = await pressStart(shy);
    expect(await notice("The microphone is blocked", shy)).toContain("Allow the microphone");
    await expectNothingLeft(room, parley, shy);
    await shy.session.context.grantPermissions(["microphone"]);
    await expectStartWorks("#notice-action", shy);
  });

  test("since the room is taken, another room is one tap away", async () => {
    const room = `room-${crypto.randomUUID()}`;
    const other = await parley.startSession({ room, identity: "bob" });
    await user.page.fill("#room", room);
    await user.page.click("#start");
    expect(await notice("This room is taken")).toContain("another room");
    expect(await liveSessions(parley)).toEqual([other]);
    await parley.fetch(`/session/${other}`, { method: "DELETE" });
    await expectNothingLeft(room);
    expect(await user.page.textContent("#notice-action")).toBe("Use another room");
    await expectStartWorks("#notice-action");
    expect(await user.page.inputValue("#room")).not.toBe(room);
  });

  test("since all conversations are in use, the page says when to try again", async () => {
    const other = await parley.startSession({ room: "elsewhere", identity: "bob" });
    const room = await pressStart();
    expect(await notice("Parley is busy")).toMatch(/try again in about \d+ seconds/i);
    expect(await livekit.rooms.participants(room)).toEqual([]);
    expect(await liveSessions(parley)).toEqual([other]);
    await parley.fetch(`/session/${other}`, { method: "DELETE" });
    await expectNothingLeft(room);
    await expectStartWorks("#notice-action");
  });
});

describe("when a conversation is under way and", () => {
  test("it is stopped elsewhere, the page says so and can start again", async () => {
    const room = await pressStart();
    const id = await user.live();
    await parley.fetch(`/session/${id}`, { method: "DELETE" });
    expect(await notice("The conversation was stopped")).toContain("from somewhere else");
    await expectNothingLeft(room);
    await expectStartWorks();
  });

  test("the room is closed under it, the page never says listening again", async () => {
    const room = await pressStart();
    await user.live();
    await user.agentIs("listening");
    const closed = Date.now();
    await livekit.rooms.deleteRoom(room);
    await notice("The room was closed");
    await expectNothingLeft(room);
    const states = await user.noted("states");
    const after = states.filter(({ of, at }) => of === "agent" && at > closed);
    expect(after.map(({ state }) => state)).toEqual(["off"]);
    await expectStartWorks("#notice-action");
  });

  test("the transcript's connection drops, it comes back and no line is lost or doubled", async () => {
    await using proxy = await TcpProxy.to(parley.url);
    await using far = await PageUser.at(proxy.url);
    const room = await pressStart(far);
    const id = await far.live();
    const ask = (text: string) => parley.post(`/session/${id}/message`, { text });
    await ask("My name is Ada.");
    await far.reads("agent", "Nice to meet you, Ada.");
    const replies = ["This is said while nobody listens.", "And this afterwards."];
    const listener = await parley.listen(id);
    proxy.cut();
    await far.agentIs("off");
    ai.reply = () => replies[0] ?? "";
    await ask("First question?");
    await listener.waitFor(
      ({ type, data }) => type === "transcript" && data.final && data.text === replies[0],
    );
    proxy.repair();
    await far.reads("agent", replies[0] ?? "");
    ai.reply = () => replies[1] ?? "";
    await ask("Second question?");
    await far.reads("agent", replies[1] ?? "");
    expect(await far.shown()).toEqual(saidIn(await storedTranscript(parley, id)));
    expect(await far.shown()).toHaveLength(6);
    expect(await far.page.getAttribute("#status", "data-state")).toBe("live");
    await far.stop();
    await expectNothingLeft(room, parley, far);
  });
});

describe("when the provider", () => {
  test("cannot be reached, no conversation starts, and one does once it can", async () => {
    const gone = await startStandIn();
    const port = Number(new URL(gone.url).port);
    await gone[Symbol.asyncDispose]();
    const env = { ...providerEnv(gone.url, true), ...livekit.env };
    await using other = await startParley({ env });
    await user.page.goto(other.url);
    const room = await pressStart();
    expect(await notice("The conversation could not start")).toContain("OPENAI_BASE_URL");
    await expectNothingLeft(room, other);
    await using _ = await startStandIn({ port });
    await expectStartWorks("#notice-action");
  });

  test("is not set up, the page says which variables to set", async () => {
    await using other = await startParley({ env: livekit.env });
    await user.page.goto(other.url);
    const room = await pressStart();
    expect(await notice("The conversation could not start")).toContain("OPENAI_API_KEY");
    await expectNothingLeft(room, other);
  });
});

test("when Parley itself dies, the page stops saying that the agent listens", async () => {
  const env = { ...providerEnv(ai.url, true), ...livekit.env };
  await using other = await startParley({ env });
  await user.page.goto(other.url);
  await pressStart();
  await user.live();
  await user.agentIs("listening");
  other.process.kill("SIGKILL");
  await user.agentIs("off");
  await notice("The transcript is catching up");
  expect(await user.page.getAttribute("#agent-state", "data-state")).toBe("off");
});
