import { afterEach, beforeEach, describe, expect, jest, test } from "bun:test";
import { failureOf } from "../../test/failure-of.ts";
import {
  isPending,
  ManagerFixture,
  realtimeFailed,
  settle,
  settleAll,
} from "../../test/session-manager.ts";
import type { AgentStack } from "../agent/agent-stack.ts";
import { CannotJoin } from "../agent/cannot-join.ts";
import { readConfig } from "../config.ts";
import type { EndReason } from "../domain/session.ts";
import { Failure, type FailureKind } from "../errors.ts";
import type { SessionManagerOptions } from "./session-manager.ts";

const SECOND = 1000;

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

describe("start", () => {
  test("answers once the agent is in the room, which is active then", async () => {
    await using fixture = new ManagerFixture();
    fixture.held = true;
    const starting = fixture.manager.start({ room: "kitchen", identity: "ann" });
    expect(await isPending(starting)).toBe(true);
    expect(fixture.sessions.live().map(({ state }) => state)).toEqual(["starting"]);
    fixture.agent.joined.resolve();
    const session = await starting;
    expect(session).toMatchObject({ room: "kitchen", identity: "ann", state: "active" });
    expect(fixture.sessions.find(session.id)).toMatchObject({ state: "active" });
    expect(fixture.states(session.id)).toEqual(["starting", "active"]);
    expect(fixture.manager.liveCount).toBe(1);
  });

  test("gives the agent its room, its person, its instructions and the stages' servers", async () => {
    const variables = { STT_REALTIME: "false", OPENAI_API_KEY: "sk-1", LLM_BASE_URL: "http://l:1" };
    await using fixture = new ManagerFixture({}, variables);
    const wishes = { system_prompt: "Be odd.", greeting: "Hi", voice: "echo", llm_model: "m" };
    const session = await fixture.manager.start({ room: "r", identity: "ann", ...wishes });
    const { options } = fixture.agent;
    expect(options.token).toMatch(/^token of agent-[0-9a-f]{12} for r$/);
    expect(options).toMatchObject({
      url: "ws://127.0.0.1:7880",
      userIdentity: "ann",
      instructions: "Be odd.",
      greeting: "Hi",
    });
    expect(options.pipeline?.llm).toMatchObject({
      baseURL: "http://l:1",
      apiKey: undefined,
      model: "m",
      source: { server: "l:1", model: "m", places: { model: "the conversation's settings" } },
    });
    expect(options.pipeline?.tts).toMatchObject({ apiKey: "sk-1", voice: "echo" });
    expect(options.pipeline?.stt).toMatchObject({ realtime: false, model: session.stt_model });
  });

  test("uses realtime transcription where the server has it, and its model", async () => {
    const providers = {
      settleAll,
      answersRealtime: async () => true,
      realtimeFailed,
    };
    await using fixture = new ManagerFixture({ providers }, {});
    const session = await fixture.manager.start({ room: "r" });
    expect(fixture.agent.options.pipeline?.stt.realtime).toBe(true);
    expect(session.stt_model).toContain("realtime");
    expect(fixture.sessions.find(session.id)?.stt_model).toBe(session.stt_model);
  });
});

describe("the language of a session", () => {
  test("reaches the agent as recognisers know it, with the words to expect, and its instructions", async () => {
    await using fixture = new ManagerFixture({}, { STT_LANGUAGE: "nb-NO", STT_REALTIME: "false" });
    const session = await fixture.manager.start({ room: "den", keyterms: ["Parley"] });
    expect(session).toMatchObject({ language: "nb-NO", keyterms: ["Parley"] });
    const { pipeline, instructions } = fixture.agent.options;
    expect(pipeline).toMatchObject({ language: "no", keyterms: ["Parley"] });
    expect(instructions).toEndWith("Answer in Norwegian Bokmål (Norway).");
  });

  test("that local models do not know is told once the session is active", async () => {
    const stages = () => {
      const config = readConfig({});
      const engine = { ...config.tts, isEngine: true };
      return { ...config, tts: engine, ready: async () => {}, [Symbol.dispose]: () => {} };
    };
    await using fixture = new ManagerFixture({ stages });
    await fixture.manager.start({ room: "den", language: "ja" });
    await settle();
    const published = fixture.events.map(([, event]) => event);
    expect(published.map(({ type }) => type)).toEqual(["session", "session", "notice"]);
    expect(published[2]).toMatchObject({ data: { code: "language_unknown", stage: "tts" } });
  });
});

describe("a start beside others", () => {
  test("refuses a room that another session holds, also while that one starts or ends", async () => {
    await using fixture = new ManagerFixture();
    fixture.held = true;
    fixture.closesSlowly = true;
    const starting = fixture.manager.start({ room: "r" });
    expect((await failureOf(fixture.manager.start({ room: "r" }))).kind).toBe("conflict");
    await settle();
    fixture.agent.joined.resolve();
    const { id } = await starting;
    expect((await failureOf(fixture.manager.start({ room: "r" }))).kind).toBe("conflict");
    const stopping = fixture.manager.stop(id);
    expect((await failureOf(fixture.manager.start({ room: "r" }))).kind).toBe("conflict");
    fixture.agent.left.resolve();
    await stopping;
    fixture.held = false;
    expect((await fixture.manager.start({ room: "r" })).state).toBe("active");
  });

  test("lets one of two simultaneous starts in a room through", async () => {
    await using fixture = new ManagerFixture();
    const request = { room: "r" };
    const both = [fixture.manager.start(request), fixture.manager.start(request)];
    const outcomes = await Promise.allSettled(both);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    expect(fixture.agents).toHaveLength(1);
  });

  test("refuses more sessions than allowed, and says when to try again", async () => {
    await using fixture = new ManagerFixture({}, { STT_REALTIME: "false", MAX_SESSIONS: "2" });
    const first = await fixture.manager.start({ room: "a" });
    await fixture.manager.start({ room: "b" });
    const failure = await failureOf(fixture.manager.start({ room: "c" }));
    expect(failure.kind).toBe("limit");
    expect(failure.retryAfter).toBeGreaterThan(0);
    await fixture.manager.stop(first.id);
    expect((await fixture.manager.start({ room: "c" })).state).toBe("active");
  });
});

const never = new Promise<never>(() => {});
const secret = new Error("sk-secret is wrong");
const rejected = () => Promise.reject(secret);
const refused = () =>
  Promise.reject(new Failure("upstream_failed", "The provider refused the key."));
const withStart = (start: AgentStack["start"]) => ({
  stack: async () => ({ start, close: async () => {} }),
});
const refusing = { settleAll: refused, answersRealtime: async () => false, realtimeFailed };
const silent = { ...refusing, settleAll: () => never };
const hangingStages = () => ({
  ...readConfig({ STT_REALTIME: "false" }),
  ready: () => never,
  [Symbol.dispose]: () => {},
});

const STEPS: [
  what: string,
  change: () => Partial<SessionManagerOptions>,
  kind: FailureKind,
  message: RegExp,
][] = [
  [
    "LiveKit never becomes ready",
    () => ({ livekit: { url: "ws://l", ready: () => never, hint: "Fix it." } }),
    "unavailable",
    /^The agent could not join the room: LiveKit at ws:\/\/l does not answer. Fix it.$/,
  ],
  [
    "LiveKit cannot start",
    () => ({ livekit: { url: "ws://l", ready: rejected, hint: "Fix it." } }),
    "unavailable",
    /LiveKit at ws:\/\/l does not answer/,
  ],
  ["the agent's parts cannot be loaded", () => ({ stack: rejected }), "unavailable", /libraries/],
  [
    "a provider refuses the key",
    () => ({ providers: refusing }),
    "upstream_failed",
    /^The provider refused the key.$/,
  ],
  ["a provider never answers", () => ({ providers: silent }), "unavailable", /^The providers/],
  ["the token cannot be signed", () => ({ token: rejected }), "unavailable", /LIVEKIT_API_SECRET/],
  [
    "the agent cannot join",
    () => withStart(() => Promise.reject(new CannotJoin(secret))),
    "unavailable",
    /LiveKit at ws:\/\/127.0.0.1:7880 does not answer/,
  ],
  ["the agent never listens", () => withStart(() => never), "unavailable", /^The agent took too/],
  ["the agent's parts never load", () => ({ stack: () => never }), "unavailable", /took too long/],
  ["a model never loads", () => ({ stages: hangingStages }), "unavailable", /^The models on this/],
  [
    "the room is never granted",
    () => ({ leases: { acquire: () => never } }),
    "unavailable",
    /^The room/,
  ],
  [
    "another Parley has the room",
    () => ({ leases: { acquire: () => Promise.reject(new Failure("conflict", "Taken.")) } }),
    "conflict",
    /^Taken.$/,
  ],
];

describe("a start that fails", () => {
  test.each(STEPS)(
    "because %s leaves no session, says so, and its room is free",
    async (_what, change, kind, message) => {
      await using fixture = new ManagerFixture(change());
      const timers = jest.getTimerCount();
      for (const _ of ["first", "again"]) {
        const starting = failureOf(fixture.manager.start({ room: "r" }));
        await settle();
        jest.advanceTimersByTime(120 * SECOND);
        const failure = await starting;
        expect([failure.kind, failure.message]).toEqual([kind, expect.stringMatching(message)]);
        expect(failure.message).not.toContain("sk-secret");
        fixture.expectNothingLeft();
      }
      expect(fixture.sessions.page({ limit: 10 }).sessions).toEqual([]);
      expect(jest.getTimerCount()).toBe(timers);
      const id = fixture.events[0]?.[0] ?? Bun.randomUUIDv7();
      expect((await failureOf(fixture.manager.stop(id))).kind).toBe("not_found");
    },
  );

  test("by a defect is no Failure: its caller gets the cause with the session, and logs it", async () => {
    const defect = new TypeError("undefined is not a function");
    await using fixture = new ManagerFixture(withStart(() => Promise.reject(defect)));
    const error = await fixture.manager.start({ room: "r" }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: "Error", cause: defect });
    expect(String(error)).toContain(String(fixture.events[0]?.[0]));
    expect(fixture.logger.lines).toEqual([]);
    fixture.expectNothingLeft();
  });

  test("tells who already listens to it that it has ended", async () => {
    await using fixture = new ManagerFixture({ providers: refusing });
    await failureOf(fixture.manager.start({ room: "r" }));
    const id = fixture.events[0]?.[0] ?? "";
    expect(fixture.states(id)).toEqual(["starting", "ended agent_failed"]);
  });

  test("because a provider refuses the key says so without waiting for LiveKit", async () => {
    await using fixture = new ManagerFixture({
      livekit: { url: "ws://l", ready: () => never, hint: "Fix it." },
      providers: refusing,
    });
    const timers = jest.getTimerCount();
    const failure = await failureOf(fixture.manager.start({ room: "r" }));
    expect(failure.kind).toBe("upstream_failed");
    expect(jest.getTimerCount()).toBe(timers);
  });
});

describe("stop", () => {
  test("answers when the agent has left, and makes final what was open", async () => {
    await using fixture = new ManagerFixture();
    const { id } = await fixture.manager.start({ room: "r", identity: "ann" });
    fixture.agent.options.onSignal({ kind: "user_text", text: "so I", final: false });
    await fixture.manager.stop(id);
    expect(fixture.states(id)).toEqual(["starting", "active", "ending stopped", "ended stopped"]);
    expect(fixture.sessions.find(id)).toMatchObject({
      state: "ended",
      end_reason: "stopped",
      ended_at: Date.now(),
    });
    const segments = fixture.transcripts.segments(id).map(({ text, identity }) => [text, identity]);
    expect(segments).toEqual([["so I", "ann"]]);
    fixture.expectNothingLeft();
  });

  test("twice at once closes the agent once, and both wait for it", async () => {
    await using fixture = new ManagerFixture();
    fixture.closesSlowly = true;
    const { id } = await fixture.manager.start({ room: "r" });
    const both = [fixture.manager.stop(id), fixture.manager.stop(id, "idle")];
    for (const stop of both) expect(await isPending(stop)).toBe(true);
    fixture.agent.left.resolve();
    await Promise.all(both);
    expect(fixture.agent.closes).toBe(1);
    expect(fixture.states(id).slice(2)).toEqual(["ending stopped", "ended stopped"]);
  });

  test("again, after it has ended, changes nothing", async () => {
    await using fixture = new ManagerFixture();
    const { id } = await fixture.manager.start({ room: "r" });
    await fixture.manager.stop(id);
    const heard = fixture.events.length;
    await fixture.manager.stop(id);
    expect(fixture.events).toHaveLength(heard);
  });

  test("of an unknown session is not found", async () => {
    await using fixture = new ManagerFixture();
    expect((await failureOf(fixture.manager.stop(Bun.randomUUIDv7()))).kind).toBe("not_found");
  });

  test("ends a session even if its agent does not close cleanly", async () => {
    await using fixture = new ManagerFixture();
    fixture.closeFails = true;
    const { id } = await fixture.manager.start({ room: "r" });
    await fixture.manager.stop(id);
    expect(fixture.states(id).at(-1)).toBe("ended stopped");
    expect(fixture.logger.lines.map(({ msg }) => msg)).toContain("a session did not close cleanly");
    fixture.expectNothingLeft();
  });

  test("and other reasons at the same time: the first one counts", async () => {
    await using fixture = new ManagerFixture();
    fixture.closesSlowly = true;
    const { id } = await fixture.manager.start({ room: "r" });
    fixture.agent.options.onEnd("livekit_lost");
    const others = [fixture.manager.stop(id), fixture.manager[Symbol.asyncDispose]()];
    fixture.agent.left.resolve();
    await Promise.all(others);
    expect(fixture.states(id).slice(2)).toEqual(["ending livekit_lost", "ended livekit_lost"]);
    expect(fixture.sessions.find(id)?.end_reason).toBe("livekit_lost");
  });

  test("lets nothing be heard of a session after its end", async () => {
    await using fixture = new ManagerFixture();
    const { id } = await fixture.manager.start({ room: "r" });
    await fixture.manager.stop(id);
    const heard = fixture.events.length;
    fixture.agent.options.onSignal({ kind: "user_text", text: "late", final: true });
    fixture.agent.options.onEnd("room_closed");
    await settle();
    expect(fixture.events).toHaveLength(heard);
  });
});

describe("a stop during the start", () => {
  test("waits until the agent that still joined has left again", async () => {
    await using fixture = new ManagerFixture();
    fixture.held = true;
    fixture.closesSlowly = true;
    const starting = failureOf(fixture.manager.start({ room: "r" }));
    await settle();
    const [session] = fixture.sessions.live();
    const stopping = fixture.manager.stop(session?.id ?? "");
    expect(fixture.agent.signal.aborted).toBe(true);
    fixture.agent.joined.resolve();
    expect(await isPending(stopping)).toBe(true);
    fixture.agent.left.resolve();
    await stopping;
    const failure = await starting;
    expect(failure.kind).toBe("conflict");
    expect(failure.message).toContain("stopped");
    expect(fixture.states(session?.id ?? "")).toEqual([
      "starting",
      "ending stopped",
      "ended stopped",
    ]);
    fixture.expectNothingLeft();
  });

  test("also when the agent answers the abort with an error of its own", async () => {
    const started = Promise.withResolvers<AbortSignal>();
    await using fixture = new ManagerFixture({
      stack: async () => ({
        start: (_options, signal) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener("abort", () => reject(new Error("handle not found")));
            started.resolve(signal);
          }),
        close: async () => {},
      }),
    });
    const starting = failureOf(fixture.manager.start({ room: "r" }));
    await started.promise;
    const id = fixture.sessions.live()[0]?.id ?? "";
    await fixture.manager.stop(id);
    expect((await starting).kind).toBe("conflict");
    expect(fixture.sessions.find(id)?.end_reason).toBe("stopped");
    fixture.expectNothingLeft();
  });

  test.each([
    [
      "LiveKit",
      (never: Promise<never>) => ({
        livekit: { url: "ws://l", ready: () => never, hint: "Fix it." },
      }),
    ],
    ["the agent stack", (never: Promise<never>) => ({ stack: () => never })],
    [
      "a provider",
      (never: Promise<never>) => ({
        providers: { settleAll: () => never, answersRealtime: () => never, realtimeFailed },
      }),
    ],
  ])("does not wait for %s", async (_what, change) => {
    await using fixture = new ManagerFixture(change(new Promise<never>(() => {})));
    const timers = jest.getTimerCount();
    const starting = failureOf(fixture.manager.start({ room: "r" }));
    await settle();
    await fixture.manager.stop(fixture.sessions.live()[0]?.id ?? "");
    expect((await starting).kind).toBe("conflict");
    expect(fixture.agents).toEqual([]);
    fixture.expectNothingLeft();
    expect(jest.getTimerCount()).toBe(timers);
  });

  test("leaves the room free for the next start at once", async () => {
    await using fixture = new ManagerFixture();
    fixture.held = true;
    const starting = failureOf(fixture.manager.start({ room: "r" }));
    await settle();
    const stopping = fixture.manager.stop(fixture.sessions.live()[0]?.id ?? "");
    fixture.agent.joined.resolve();
    await Promise.all([stopping, starting]);
    fixture.held = false;
    expect((await fixture.manager.start({ room: "r" })).state).toBe("active");
  });
});

describe("a caller who is gone", () => {
  test.each(["at once", "while the agent joins", "as the agent has joined"])(
    "%s leaves no session, and the room is free",
    async (when) => {
      await using fixture = new ManagerFixture();
      fixture.held = true;
      const caller = new AbortController();
      if (when === "at once") caller.abort();
      const starting = fixture.manager.start({ room: "r" }, caller.signal).catch(() => {});
      await settle();
      if (when === "as the agent has joined") fixture.agent.joined.resolve();
      caller.abort();
      for (const agent of fixture.agents) agent.joined.resolve();
      await starting;
      await settle();
      fixture.expectNothingLeft();
      expect(fixture.sessions.page({ limit: 10 }).sessions).toEqual([]);
      fixture.held = false;
      expect((await fixture.manager.start({ room: "r" })).state).toBe("active");
    },
  );

  test("after the answer changes nothing", async () => {
    await using fixture = new ManagerFixture();
    const caller = new AbortController();
    const { id } = await fixture.manager.start({ room: "r" }, caller.signal);
    caller.abort();
    await settle();
    expect(fixture.sessions.find(id)?.state).toBe("active");
  });
});

describe("the lease of a room", () => {
  function leases() {
    const lost = new Map<string, () => void>();
    const released: string[] = [];
    const acquire = async (room: string, _id: string, onLost: () => void) => {
      lost.set(room, onLost);
      return { [Symbol.asyncDispose]: async () => void released.push(room) };
    };
    return { lost, released, leases: { acquire } };
  }

  test("is given back once the agent has left", async () => {
    const { released, leases: shared } = leases();
    await using fixture = new ManagerFixture({ leases: shared });
    fixture.closesSlowly = true;
    const { id } = await fixture.manager.start({ room: "r" });
    const stopping = fixture.manager.stop(id);
    await settle();
    expect(released).toEqual([]);
    fixture.agent.left.resolve();
    await stopping;
    expect(released).toEqual(["r"]);
  });

  test("that is lost ends the session, which says why", async () => {
    const { lost, leases: shared } = leases();
    await using fixture = new ManagerFixture({ leases: shared });
    const { id } = await fixture.manager.start({ room: "r" });
    lost.get("r")?.();
    await settle();
    expect(fixture.errors()).toEqual(["session_room_taken"]);
    expect(fixture.sessions.find(id)?.end_reason).toBe("room_taken");
    fixture.expectNothingLeft();
  });

  test("that comes after a stop is given back too", async () => {
    const late = Promise.withResolvers<AsyncDisposable>();
    await using fixture = new ManagerFixture({ leases: { acquire: () => late.promise } });
    const starting = failureOf(fixture.manager.start({ room: "r" }));
    await settle();
    await fixture.manager.stop(fixture.manager.sessions.live()[0]?.id ?? "");
    expect((await starting).kind).toBe("conflict");
    const released: string[] = [];
    late.resolve({ [Symbol.asyncDispose]: async () => void released.push("r") });
    await settle();
    expect(released).toEqual(["r"]);
    fixture.expectNothingLeft();
  });
});

describe("the person", () => {
  const ann = { identity: "ann", name: "Ann" };

  test("who joins is named in the session, and their words bear their identity", async () => {
    await using fixture = new ManagerFixture();
    const { id } = await fixture.manager.start({ room: "r" });
    expect(fixture.sessions.find(id)).toMatchObject({ identity: null, name: null });
    fixture.agent.options.onUser({ identity: "bob", name: "" });
    expect(fixture.sessions.find(id)).toMatchObject({ identity: "bob", name: null });
    fixture.agent.options.onUser(ann);
    expect(fixture.sessions.find(id)).toMatchObject({ identity: "ann", name: "Ann" });
    fixture.agent.options.onSignal({ kind: "user_turn", text: "Hi" });
    expect(fixture.transcripts.segments(id)[0]).toMatchObject({ identity: "ann", role: "user" });
  });

  test("who leaves for good ends the session after a time for a reload", async () => {
    await using fixture = new ManagerFixture();
    const { id } = await fixture.manager.start({ room: "r" });
    fixture.agent.options.onUser(ann);
    fixture.agent.options.onUser(undefined);
    jest.advanceTimersByTime(14 * SECOND);
    await settle();
    expect(fixture.sessions.find(id)?.state).toBe("active");
    jest.advanceTimersByTime(3 * SECOND);
    await settle();
    expect(fixture.sessions.find(id)).toMatchObject({ state: "ended", end_reason: "user_left" });
    fixture.expectNothingLeft();
  });

  test("who comes back in time finds the session going on", async () => {
    await using fixture = new ManagerFixture();
    const { id } = await fixture.manager.start({ room: "r" });
    fixture.agent.options.onUser(ann);
    fixture.agent.options.onUser(undefined);
    jest.advanceTimersByTime(14 * SECOND);
    fixture.agent.options.onUser(ann);
    jest.advanceTimersByTime(60 * SECOND);
    await settle();
    expect(fixture.sessions.find(id)?.state).toBe("active");
  });
});

describe("limits", () => {
  const variables = {
    STT_REALTIME: "false",
    SESSION_IDLE_MINUTES: "1",
    SESSION_MAX_MINUTES: "3",
  };

  test("a session without a word ends as idle", async () => {
    await using fixture = new ManagerFixture({}, variables);
    const { id } = await fixture.manager.start({ room: "r" });
    // The agent's own states, errors and notices are no words of anybody.
    fixture.agent.options.onSignal({ kind: "agent_state", state: "listening" });
    jest.advanceTimersByTime(59 * SECOND);
    fixture.agent.options.onSignal({ kind: "agent_state", state: "thinking" });
    fixture.agent.options.onSignal({
      kind: "error",
      stage: "stt",
      code: "provider_failed",
      message: "It failed.",
      recoverable: true,
    });
    fixture.agent.options.onSignal({
      kind: "notice",
      code: "model_loading",
      message: "The model is being loaded.",
      transient: true,
    });
    await settle();
    expect(fixture.sessions.find(id)?.state).toBe("active");
    jest.advanceTimersByTime(3 * SECOND);
    await settle();
    expect(fixture.sessions.find(id)).toMatchObject({ state: "ended", end_reason: "idle" });
    expect(fixture.states(id).at(-1)).toBe("ended idle");
    fixture.expectNothingLeft();
  });

  test("a session with speech or typing continues until the time limit", async () => {
    await using fixture = new ManagerFixture({}, variables);
    const { id } = await fixture.manager.start({ room: "r" });
    for (let seconds = 0; seconds < 175; seconds += 50) {
      expect(fixture.sessions.find(id)?.state).toBe("active");
      if (seconds === 100) await fixture.manager.say(id, "still here");
      else fixture.agent.options.onSignal({ kind: "user_turn", text: "still here" });
      jest.advanceTimersByTime(50 * SECOND);
      await settle();
    }
    expect(fixture.sessions.find(id)).toMatchObject({ state: "ended", end_reason: "time_limit" });
  });
});

describe("the system's clock", () => {
  const variables = {
    STT_REALTIME: "false",
    SESSION_IDLE_MINUTES: "1",
    SESSION_MAX_MINUTES: "3",
  };
  const HOURS = 3_600_000;

  test.each([-2 * HOURS, 2 * HOURS])("set by %p ms changes no limit", async (by) => {
    let uptime = 0;
    await using fixture = new ManagerFixture({ monotonic: () => uptime }, variables);
    const { id, started_at } = await fixture.manager.start({ room: "r" });
    const pass = async (seconds: number) => {
      for (let second = 0; second < seconds; second += 1) {
        uptime += SECOND;
        jest.advanceTimersByTime(SECOND);
        await settle();
      }
    };
    await pass(30);
    jest.setSystemTime(Date.now() + by);
    await pass(29);
    expect(fixture.sessions.find(id)?.state).toBe("active");
    await pass(3);
    const ended = fixture.sessions.find(id);
    expect(ended).toMatchObject({ state: "ended", end_reason: "idle" });
    expect((ended?.ended_at ?? 0) - started_at).toBeGreaterThanOrEqual(60 * SECOND);
  });

  test("a machine that slept continues where it was", async () => {
    let uptime = 0;
    await using fixture = new ManagerFixture({ monotonic: () => uptime }, variables);
    const { id } = await fixture.manager.start({ room: "r" });
    uptime += 8 * HOURS;
    jest.advanceTimersByTime(SECOND);
    await settle();
    expect(fixture.sessions.find(id)?.state).toBe("active");
  });
});

describe("an agent that ends by itself", () => {
  const REASONS: EndReason[] = ["provider_failed", "room_closed", "livekit_lost", "agent_failed"];

  test.each(REASONS)("tells why (%s), and its room is free", async (reason) => {
    await using fixture = new ManagerFixture();
    const { id } = await fixture.manager.start({ room: "r" });
    fixture.agent.options.onEnd(reason);
    fixture.agent.options.onEnd("room_closed");
    await settle();
    expect(fixture.errors()).toEqual([`session_${reason}`]);
    expect(fixture.states(id).slice(2)).toEqual([`ending ${reason}`, `ended ${reason}`]);
    expect(fixture.sessions.find(id)?.end_reason).toBe(reason);
    fixture.expectNothingLeft();
    expect((await fixture.manager.start({ room: "r" })).state).toBe("active");
  });

  test("during its start makes the start fail as unavailable", async () => {
    await using fixture = new ManagerFixture();
    fixture.held = true;
    const starting = failureOf(fixture.manager.start({ room: "r" }));
    await settle();
    fixture.agent.options.onEnd("livekit_lost");
    fixture.agent.joined.resolve();
    const failure = await starting;
    expect(failure.kind).toBe("unavailable");
    expect(failure.message).toContain("LiveKit");
    fixture.expectNothingLeft();
  });
});

describe("say", () => {
  test("hands the words to the agent", async () => {
    await using fixture = new ManagerFixture();
    const { id } = await fixture.manager.start({ room: "r" });
    await fixture.manager.say(id, "What time is it?");
    expect(fixture.agent.said).toEqual(["What time is it?"]);
  });

  test("to an unknown session is not found", async () => {
    await using fixture = new ManagerFixture();
    expect((await failureOf(fixture.manager.say(Bun.randomUUIDv7(), "x"))).kind).toBe("not_found");
  });

  test("to a session that starts, ends or has ended is a conflict", async () => {
    await using fixture = new ManagerFixture();
    fixture.held = true;
    fixture.closesSlowly = true;
    const starting = fixture.manager.start({ room: "r" });
    await settle();
    const id = fixture.sessions.live()[0]?.id ?? "";
    const say = async () => (await failureOf(fixture.manager.say(id, "x"))).kind;
    expect(await say()).toBe("conflict");
    fixture.agent.joined.resolve();
    await starting;
    const stopping = fixture.manager.stop(id);
    expect(await say()).toBe("conflict");
    fixture.agent.left.resolve();
    await stopping;
    expect(await say()).toBe("conflict");
    expect(fixture.agent.said).toEqual([]);
  });

  test("to an agent that cannot take it is unavailable, and the session continues", async () => {
    await using fixture = new ManagerFixture();
    const { id } = await fixture.manager.start({ room: "r" });
    fixture.sayFails = true;
    expect((await failureOf(fixture.manager.say(id, "x"))).kind).toBe("unavailable");
    expect(fixture.sessions.find(id)?.state).toBe("active");
  });
});

describe("drain", () => {
  test("takes no more conversations, and is over when those that run have ended", async () => {
    await using fixture = new ManagerFixture();
    fixture.held = true;
    const starting = fixture.manager.start({ room: "a" });
    await settle();
    const drained = fixture.manager.drain();
    const refused = await failureOf(fixture.manager.start({ room: "b" }));
    expect([refused.kind, refused.retryAfter]).toEqual(["unavailable", 30]);
    expect(refused.message).toContain("about to restart");
    fixture.agent.joined.resolve();
    const { id } = await starting;
    expect(await isPending(drained)).toBe(true);
    await fixture.manager.say(id, "One more thing.");
    await fixture.manager.stop(id);
    await drained;
    expect(fixture.sessions.find(id)?.end_reason).toBe("stopped");
  });

  test("lets people return to a conversation that runs", async () => {
    await using fixture = new ManagerFixture();
    const { manager } = fixture;
    await manager.start({ room: "a" });
    manager.assertOpen("b");
    const drained = manager.drain();
    manager.assertOpen("a");
    expect(() => manager.assertOpen("b")).toThrow("about to restart");
    expect(() => manager.assertOpen()).toThrow("about to restart");
    await manager[Symbol.asyncDispose]();
    await drained;
  });

  test("without a conversation is over at once", async () => {
    await using fixture = new ManagerFixture();
    await fixture.manager.drain();
  });
});

describe("shutdown", () => {
  test("ends every session, those that start included, and none can start afterwards", async () => {
    const fixture = new ManagerFixture();
    const active = await fixture.manager.start({ room: "a" });
    fixture.held = true;
    const starting = failureOf(fixture.manager.start({ room: "b" }));
    await settle();
    const closing = fixture.manager[Symbol.asyncDispose]();
    fixture.agent.joined.resolve();
    await closing;
    expect((await starting).kind).toBe("unavailable");
    expect(fixture.sessions.find(active.id)?.end_reason).toBe("shutdown");
    fixture.expectNothingLeft();
    const late = await failureOf(fixture.manager.start({ room: "c" }));
    expect([late.kind, late.message]).toEqual(["unavailable", "Parley is shutting down."]);
    expect(jest.getTimerCount()).toBe(0);
    await fixture[Symbol.asyncDispose]();
  });

  test("is not kept from its end by one agent that does not close cleanly", async () => {
    await using fixture = new ManagerFixture();
    fixture.closeFails = true;
    await fixture.manager.start({ room: "a" });
    await fixture.manager.start({ room: "b" });
    await fixture.manager[Symbol.asyncDispose]();
    fixture.expectNothingLeft();
  });
});

test("a hundred starts and stops leave no session, timer or agent", async () => {
  await using fixture = new ManagerFixture();
  const timers = jest.getTimerCount();
  for (let round = 0; round < 100; round += 1) {
    const { id } = await fixture.manager.start({ room: "r" });
    await fixture.manager.stop(id);
  }
  fixture.expectNothingLeft();
  expect(fixture.agents.map(({ closes }) => closes)).toEqual(Array(100).fill(1));
  expect(jest.getTimerCount()).toBe(timers);
});
