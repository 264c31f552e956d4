import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { LocalAudioTrack } from "livekit-client";
import type { Call, CallListener } from "./call.ts";
import { Controller } from "./controller.ts";
import { IDLE } from "./conversation.ts";
import type { StartForm } from "./setup-form.ts";

const FORM: StartForm = { room: "kitchen", identity: "guest-1", name: "Ada" };

/** Stands in for the browser and for Parley, and logs what a controller asks them to do. */
class TestEnvironment {
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
    // Nothing listens there: the socket has its own tests.
    socketUrl: () => "ws://127.0.0.1:9/ws",
    createCall: (listener) => this.#createCall(listener),
    openMicrophone: () => this.microphone(),
    onState: () => {},
    onTranscript: () => {},
    onBegin: () => this.log.push("begin"),
    onMicrophone: () => {},
    agentCheckMs: 5,
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

  #createCall(listener: CallListener): Call {
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
let environment: TestEnvironment;
beforeEach(() => {
  environment = new TestEnvironment();
  globalThis.fetch = environment.fetch as typeof fetch;
});
afterEach(async () => {
  await environment.controller.stop();
  globalThis.fetch = browserFetch;
});

test("start and stop acquire everything in order and release everything", async () => {
  environment.controller.start(FORM);
  environment.controller.start(FORM);
  await environment.until("live");
  await environment.controller.stop();
  expect(environment.log).toEqual([
    "begin",
    "GET /token",
    "connect",
    "publish",
    "POST /session",
    "microphone off",
    "DELETE /session/s1",
    "leave",
  ]);
  expect(environment.controller.state).toEqual(IDLE);
});

describe("a failed start releases what it acquired, and the next one works", () => {
  const failures: [string, () => void, string][] = [
    [
      "the token",
      () => Object.assign(environment.answers, { "GET /token": problem(503) }),
      "start",
    ],
    ["Parley", () => Object.assign(environment.answers, { "GET /token": undefined }), "reached"],
    [
      "the microphone",
      () => {
        environment.microphone = () =>
          Promise.reject(Object.assign(new Error("no"), { name: "NotFoundError" }));
      },
      "microphone",
    ],
    [
      "the room",
      () => {
        environment.connect = () => Promise.reject(new Error("no"));
      },
      "audio connection",
    ],
    [
      "the session",
      () => Object.assign(environment.answers, { "POST /session": problem(409) }),
      "taken",
    ],
  ];
  test.each(failures)("%s", async (what, arrange, words) => {
    const { answers, microphone, connect } = environment;
    environment.answers = { ...answers };
    arrange();
    environment.controller.start(FORM);
    await environment.until("failed");
    await Bun.sleep(5);
    expect(environment.title).toContain(words);
    expect(environment.log).toContain("leave");
    expect(environment.log.includes("microphone off")).toBe(what !== "the microphone");
    expect(environment.log).not.toContain("DELETE /session/s1");

    Object.assign(environment, { answers, microphone, connect });
    environment.controller.start(FORM);
    await environment.until("live");
  });
});

test("a session that is created after the stop is deleted", async () => {
  const created = Promise.withResolvers<Response>();
  environment.answers["POST /session"] = () => created.promise;
  environment.controller.start(FORM);
  for (let tries = 0; tries < 100 && !environment.log.includes("POST /session"); tries += 1) {
    await Bun.sleep(2);
  }
  const stopping = environment.controller.stop();
  expect(environment.phase).toBe("stopping");
  created.resolve(Response.json({ session_id: "s1" }, { status: 201 }));
  await stopping;
  expect(environment.log.slice(-3)).toEqual(["microphone off", "DELETE /session/s1", "leave"]);
  expect(environment.phase).toBe("idle");
});

test("a microphone that is permitted after the stop is turned off again", async () => {
  const given = Promise.withResolvers<LocalAudioTrack>();
  environment.microphone = () => given.promise;
  environment.controller.start(FORM);
  await Bun.sleep(5);
  await environment.controller.stop();
  given.resolve(environment.track());
  await Bun.sleep(5);
  expect(environment.log.at(-1)).toBe("microphone off");
  expect(environment.log).not.toContain("connect");
});

describe("after a reload", () => {
  const call = { session_id: "s1", room: "kitchen", identity: "guest-1", name: "" };

  test("the live session is found again and no other is created", async () => {
    environment.controller.resume(call);
    await environment.until("live");
    expect(environment.log).not.toContain("POST /session");
    expect(environment.controller.state.startedAt).toBe(Date.parse("2026-11-24T09:00:00Z"));
  });

  test("a session that ended meanwhile is reported without asking for the microphone", async () => {
    environment.answers["GET /session/s1"] = () => session("ended", "idle");
    environment.microphone = () => Promise.reject(new Error("asked"));
    environment.controller.resume(call);
    await environment.until("idle");
    expect(environment.controller.state.notice?.tone).toBe("info");
  });

  test("a session that cannot be looked up now is not ended", async () => {
    environment.answers["GET /session/s1"] = problem(500);
    environment.controller.resume(call);
    await environment.until("failed");
    expect(environment.log).not.toContain("DELETE /session/s1");
  });
});

describe("during a conversation", () => {
  beforeEach(async () => {
    environment.controller.start(FORM);
    await environment.until("live");
  });

  test("a lost room ends it with a message", async () => {
    environment.listener?.onReconnecting();
    expect(environment.phase).toBe("reconnecting");
    environment.listener?.onDisconnected("connection");
    await environment.until("failed");
    expect(environment.title).toBe("The connection was lost");
    await Bun.sleep(5);
    expect(environment.log).toContain("DELETE /session/s1");
  });

  test("a room that closed with its session shows why the session ended", async () => {
    environment.answers["GET /session/s1"] = () => session("ended", "time_limit");
    environment.listener?.onDisconnected("room_closed");
    await environment.until("idle");
    expect(environment.title).toBe("Time is up");
  });

  test("the same person in another window takes over, and the session stays", async () => {
    environment.listener?.onDisconnected("moved");
    await environment.until("idle");
    await Bun.sleep(5);
    expect(environment.log).not.toContain("DELETE /session/s1");
  });

  test("an agent that leaves and does not return ends it", async () => {
    environment.listener?.onAgentPresence(false);
    await environment.until("failed");
    expect(environment.title).toBe("The agent left");
  });

  test("an agent that returns continues it", async () => {
    environment.listener?.onAgentPresence(false);
    environment.listener?.onAgentPresence(true);
    await Bun.sleep(40);
    expect(environment.phase).toBe("live");
  });
});
