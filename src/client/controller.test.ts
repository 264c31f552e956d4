import { afterEach, beforeEach, describe, expect, jest, test } from "bun:test";
import { setImmediate as macrotask } from "node:timers/promises";
import type { LocalAudioTrack } from "livekit-client";
import type { Call, CallListener } from "./call.ts";
import { Controller } from "./controller.ts";
import { IDLE } from "./conversation.ts";
import type { StartForm } from "./setup-form.ts";

const AGENT_CHECK_MS = 5;
const FORM: StartForm = { room: "kitchen", identity: "guest-1", name: "Ada" };

/** Stands in for the browser and for Parley, and logs what a controller asks them to do. */
class TestEnvironment {
  readonly log: string[] = [];
  /** Called at each change of the state and each new entry of the log. */
  readonly #waiting = new Set<() => void>();
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
    onState: () => this.#changed(),
    onTranscript: () => {},
    onBegin: () => this.#note("begin"),
    onMicrophone: () => {},
    agentCheckMs: AGENT_CHECK_MS,
  });

  fetch = async (path: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const key = `${init?.method} ${String(path).split("?")[0]}`;
    this.#note(key);
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

  /** Resolves when the conversation is in this phase. */
  until(phase: string): Promise<void> {
    return this.#when(() => this.phase === phase);
  }

  /** Resolves when the log has this entry. */
  logged(entry: string): Promise<void> {
    return this.#when(() => this.log.includes(entry));
  }

  #when(holds: () => boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => {
      if (!holds()) return;
      this.#waiting.delete(look);
      resolve();
    };
    this.#waiting.add(look);
    look();
    return promise;
  }

  #note(entry: string): void {
    this.log.push(entry);
    this.#changed();
  }

  #changed(): void {
    for (const look of [...this.#waiting]) look();
  }

  track(): LocalAudioTrack {
    const track = { stop: () => this.#note("microphone off") };
    return track as unknown as LocalAudioTrack;
  }

  #createCall(listener: CallListener): Call {
    this.listener = listener;
    const call = {
      connect: async () => {
        this.#note("connect");
        await this.connect();
      },
      publish: async () => this.#note("publish"),
      startAudio: async () => {},
      silence: () => {},
      close: async () => this.#note("leave"),
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
    "leave",
    "DELETE /session/s1",
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
    expect(environment.title).toContain(words);

    Object.assign(environment, { answers, microphone, connect });
    environment.controller.start(FORM);
    // The start waits until everything of the one before is released.
    await environment.until("live");
    expect(environment.log).toContain("leave");
    expect(environment.log.includes("microphone off")).toBe(what !== "the microphone");
    expect(environment.log).not.toContain("DELETE /session/s1");
  });
});

test("a session that is created after the stop is deleted", async () => {
  const created = Promise.withResolvers<Response>();
  environment.answers["POST /session"] = () => created.promise;
  environment.controller.start(FORM);
  await environment.logged("POST /session");
  const stopping = environment.controller.stop();
  expect(environment.phase).toBe("stopping");
  created.resolve(Response.json({ session_id: "s1" }, { status: 201 }));
  await stopping;
  expect(environment.log.slice(-3)).toEqual(["microphone off", "leave", "DELETE /session/s1"]);
  expect(environment.phase).toBe("idle");
});

test("a microphone that is permitted after the stop is turned off again", async () => {
  const asked = Promise.withResolvers<void>();
  const given = Promise.withResolvers<LocalAudioTrack>();
  environment.microphone = () => {
    asked.resolve();
    return given.promise;
  };
  environment.controller.start(FORM);
  await asked.promise;
  await environment.controller.stop();
  given.resolve(environment.track());
  await environment.logged("microphone off");
  await macrotask();
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
    await environment.logged("DELETE /session/s1");
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
    environment.controller.start(FORM);
    // The start waits until everything of the one before is released.
    await environment.until("live");
    expect(environment.log).toContain("leave");
    expect(environment.log).not.toContain("DELETE /session/s1");
  });

  test("an agent that leaves and does not return ends it", async () => {
    environment.listener?.onAgentPresence(false);
    await environment.until("failed");
    expect(environment.title).toBe("The agent left");
  });

  test("an agent that returns continues it", async () => {
    jest.useFakeTimers();
    try {
      environment.listener?.onAgentPresence(false);
      environment.listener?.onAgentPresence(true);
      for (let check = 0; check < 5; check += 1) {
        jest.advanceTimersByTime(AGENT_CHECK_MS);
        // Lets the controller do what it does after a check.
        for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
      }
    } finally {
      jest.useRealTimers();
    }
    expect(environment.phase).toBe("live");
  });
});
