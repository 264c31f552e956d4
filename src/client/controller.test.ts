import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { LocalAudioTrack } from "livekit-client";
import type { Call, CallListener } from "./call.ts";
import { Controller } from "./controller.ts";
import type { StartForm } from "./controller-deps.ts";
import { IDLE } from "./conversation.ts";

const FORM: StartForm = { room: "kitchen", identity: "guest-1", name: "Ada" };

/** Stands for the browser and Parley around a controller, and writes down what is asked of them. */
class World {
  readonly log: string[] = [];
  answers: Record<string, () => Response | Promise<Response>> = {
    "GET /token": () => Response.json({ token: "t" }),
    "POST /session": () => Response.json({ session_id: "s1" }, { status: 201 }),
    "DELETE /session/s1": () => Response.json({ stopped: true }),
    "GET /session/s1": () => session("active"),
  };
  microphone: () => Promise<LocalAudioTrack> = async () => this.track();
  connect: () => Promise<void> = async () => {};
  listener: CallListener | undefined;
  readonly controller = new Controller({
    liveKitUrl: "ws://livekit",
    // Nothing listens there: the feed's own tests cover it.
    socketUrl: () => "ws://127.0.0.1:9/ws",
    makeCall: (listener) => this.#call(listener),
    openMicrophone: () => this.microphone(),
    onState: () => {},
    onTranscript: () => {},
    onBegin: () => this.log.push("begin"),
    onMicrophone: () => {},
    agentGrace: 5,
  });

  fetch = async (path: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const key = `${init?.method} ${String(path).split("?")[0]}`;
    this.log.push(key);
    const answer = this.answers[key];
    if (answer === undefined) throw new TypeError("refused");
    return await answer();
  };

  get phase(): string {
    return this.controller.state.phase;
  }

  get title(): string | undefined {
    return this.controller.state.notice?.title;
  }

  async until(phase: string): Promise<void> {
    for (let tries = 0; tries < 200 && this.phase !== phase; tries += 1) await Bun.sleep(2);
    expect(this.phase).toBe(phase);
  }

  track(): LocalAudioTrack {
    const track = { stop: () => this.log.push("microphone off") };
    return track as unknown as LocalAudioTrack;
  }

  #call(listener: CallListener): Call {
    this.listener = listener;
    const call = {
      connect: async () => {
        this.log.push("connect");
        await this.connect();
      },
      publish: async () => this.log.push("publish"),
      startAudio: async () => {},
      silence: () => {},
      close: async () => this.log.push("leave"),
    };
    return call as unknown as Call;
  }
}

function session(state: string, end_reason: string | null = null): Response {
  return Response.json({ session_id: "s1", state, started_at: "2026-11-24T09:00:00Z", end_reason });
}

function problem(status: number): () => Response {
  return () => Response.json({ title: "No", detail: "Not now." }, { status });
}

const browserFetch = globalThis.fetch;
let world: World;
beforeEach(() => {
  world = new World();
  globalThis.fetch = world.fetch as typeof fetch;
});
afterEach(async () => {
  await world.controller.stop();
  globalThis.fetch = browserFetch;
});

test("a start and a stop ask for everything in order and let go of everything", async () => {
  world.controller.start(FORM);
  world.controller.start(FORM);
  await world.until("live");
  await world.controller.stop();
  expect(world.log).toEqual([
    "begin",
    "GET /token",
    "connect",
    "publish",
    "POST /session",
    "microphone off",
    "DELETE /session/s1",
    "leave",
  ]);
  expect(world.controller.state).toEqual(IDLE);
});

describe("a failed start lets go of what it had, and the next one works", () => {
  const failures: [string, () => void, string][] = [
    ["the token", () => Object.assign(world.answers, { "GET /token": problem(503) }), "start"],
    ["Parley", () => Object.assign(world.answers, { "GET /token": undefined }), "reached"],
    [
      "the microphone",
      () => {
        world.microphone = () =>
          Promise.reject(Object.assign(new Error("no"), { name: "NotFoundError" }));
      },
      "microphone",
    ],
    [
      "the room",
      () => {
        world.connect = () => Promise.reject(new Error("no"));
      },
      "audio connection",
    ],
    ["the session", () => Object.assign(world.answers, { "POST /session": problem(409) }), "taken"],
  ];
  test.each(failures)("%s", async (what, arrange, words) => {
    const { answers, microphone, connect } = world;
    world.answers = { ...answers };
    arrange();
    world.controller.start(FORM);
    await world.until("failed");
    await Bun.sleep(5);
    expect(world.title).toContain(words);
    expect(world.log).toContain("leave");
    expect(world.log.includes("microphone off")).toBe(what !== "the microphone");
    expect(world.log).not.toContain("DELETE /session/s1");

    Object.assign(world, { answers, microphone, connect });
    world.controller.start(FORM);
    await world.until("live");
  });
});

test("a session that is created after the stop is deleted", async () => {
  const created = Promise.withResolvers<Response>();
  world.answers["POST /session"] = () => created.promise;
  world.controller.start(FORM);
  for (let tries = 0; tries < 100 && !world.log.includes("POST /session"); tries += 1) {
    await Bun.sleep(2);
  }
  const stopping = world.controller.stop();
  expect(world.phase).toBe("stopping");
  created.resolve(Response.json({ session_id: "s1" }, { status: 201 }));
  await stopping;
  expect(world.log.slice(-3)).toEqual(["microphone off", "DELETE /session/s1", "leave"]);
  expect(world.phase).toBe("idle");
});

test("a permission that is given after the stop turns the microphone off again", async () => {
  const given = Promise.withResolvers<LocalAudioTrack>();
  world.microphone = () => given.promise;
  world.controller.start(FORM);
  await Bun.sleep(5);
  await world.controller.stop();
  given.resolve(world.track());
  await Bun.sleep(5);
  expect(world.log.at(-1)).toBe("microphone off");
  expect(world.log).not.toContain("connect");
});

describe("after a reload", () => {
  const call = { session_id: "s1", room: "kitchen", identity: "guest-1", name: "" };

  test("the live session is found again and no other one is created", async () => {
    world.controller.resume(call);
    await world.until("live");
    expect(world.log).not.toContain("POST /session");
    expect(world.controller.state.startedAt).toBe(Date.parse("2026-11-24T09:00:00Z"));
  });

  test("one that ended meanwhile is told in plain words, without asking for the microphone", async () => {
    world.answers["GET /session/s1"] = () => session("ended", "idle");
    world.microphone = () => Promise.reject(new Error("asked"));
    world.controller.resume(call);
    await world.until("idle");
    expect(world.controller.state.notice?.tone).toBe("info");
  });

  test("one that cannot be asked for now is not ended", async () => {
    world.answers["GET /session/s1"] = problem(500);
    world.controller.resume(call);
    await world.until("failed");
    expect(world.log).not.toContain("DELETE /session/s1");
  });
});

describe("in mid-conversation", () => {
  beforeEach(async () => {
    world.controller.start(FORM);
    await world.until("live");
  });

  test("a lost room ends it with a message", async () => {
    world.listener?.onReconnecting();
    expect(world.phase).toBe("reconnecting");
    world.listener?.onLost("connection");
    await world.until("failed");
    expect(world.title).toBe("The connection was lost");
    await Bun.sleep(5);
    expect(world.log).toContain("DELETE /session/s1");
  });

  test("a room that closed with its session tells why the session ended", async () => {
    world.answers["GET /session/s1"] = () => session("ended", "time_limit");
    world.listener?.onLost("room_closed");
    await world.until("idle");
    expect(world.title).toBe("Time is up");
  });

  test("the same person in another window takes over, and the session stays", async () => {
    world.listener?.onLost("moved");
    await world.until("idle");
    await Bun.sleep(5);
    expect(world.log).not.toContain("DELETE /session/s1");
  });

  test("an agent that left and does not come back ends it", async () => {
    world.listener?.onAgent(false);
    await world.until("failed");
    expect(world.title).toBe("The agent left");
  });

  test("an agent that comes back goes on", async () => {
    world.listener?.onAgent(false);
    world.listener?.onAgent(true);
    await Bun.sleep(40);
    expect(world.phase).toBe("live");
  });
});
