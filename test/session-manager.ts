import { expect } from "bun:test";
import type { Agent, AgentStack } from "../src/agent/agent-stack.ts";
import { readConfig } from "../src/config.ts";
import type { Database } from "../src/db/open.ts";
import { SqliteSessionLog } from "../src/db/session-log.ts";
import { SqliteSessionStore } from "../src/db/session-store.ts";
import { SqliteTranscriptStore } from "../src/db/transcript-store.ts";
import type { StageProviders } from "../src/domain/stage.ts";
import type { SessionEvent } from "../src/domain/transcript.ts";
import { localLeases } from "../src/session/local-leases.ts";
import { SessionManager, type SessionManagerOptions } from "../src/session/session-manager.ts";
import { temporaryDatabase } from "./database.ts";
import { memoryLogger } from "./event-log.ts";

export const settleAll = async (stages: StageProviders) => stages;
export const realtimeFailed = () => {};

type RunningOptions = Parameters<AgentStack["start"]>[0];

/** One start of an agent, and what became of it. */
export interface FakeAgent {
  options: RunningOptions;
  signal: AbortSignal;
  /** Resolve it to let the agent join; already resolved unless `held`. */
  joined: PromiseWithResolvers<void>;
  /** Resolve it to let `close` finish; already resolved unless `closesSlowly`. */
  left: PromiseWithResolvers<void>;
  closes: number;
  said: string[];
}

/** A manager over real stores and a fake agent stack that tests can hold, fail and observe. */
export class ManagerFixture implements AsyncDisposable {
  readonly agents: FakeAgent[] = [];
  readonly events: [sessionId: string, event: SessionEvent][] = [];
  readonly logger = memoryLogger();
  readonly sessions: SqliteSessionStore;
  readonly transcripts: SqliteTranscriptStore;
  readonly log: SqliteSessionLog;
  readonly manager: SessionManager;
  /** Agents stay on their way into the room until `joined` is resolved. */
  held = false;
  closesSlowly = false;
  closeFails = false;
  sayFails = false;
  /** Sessions that have not released their stages. */
  stagesInUse = 0;
  readonly #open = new AsyncDisposableStack();
  readonly #database: Database;

  constructor(
    change: Partial<SessionManagerOptions> = {},
    variables: Record<string, string> = { STT_REALTIME: "false" },
  ) {
    const { database } = this.#open.use(temporaryDatabase());
    this.#database = database;
    this.sessions = new SqliteSessionStore(database);
    this.transcripts = new SqliteTranscriptStore(database);
    this.log = new SqliteSessionLog({
      database,
      publish: ({ session_id, seq: _seq, at: _at, ...event }) =>
        this.events.push([session_id, event]),
    });
    const { log, logger } = this;
    this.manager = this.#open.use(
      new SessionManager({
        config: readConfig(variables),
        stages: () => {
          this.stagesInUse += 1;
          return {
            ...readConfig(variables),
            ready: async () => {},
            [Symbol.dispose]: () => {
              this.stagesInUse -= 1;
            },
          };
        },
        sessions: this.sessions,
        log,
        leases: localLeases,
        monotonic: Date.now,
        stack: async () => ({
          start: (options, signal) => this.#startAgent(options, signal),
          close: async () => {},
        }),
        livekit: { url: "ws://127.0.0.1:7880", ready: async () => {}, hint: "Fix it." },
        token: async (room, identity) => `token of ${identity} for ${room}`,
        providers: { settleAll, answersRealtime: async () => false, realtimeFailed },
        languagesOf: async () => ["en"],
        logger,
        ...change,
      }),
    );
  }

  async #startAgent(options: RunningOptions, signal: AbortSignal): Promise<Agent> {
    const fake: FakeAgent = {
      options,
      signal,
      joined: Promise.withResolvers(),
      left: Promise.withResolvers(),
      closes: 0,
      said: [],
    };
    this.agents.push(fake);
    if (!this.held) fake.joined.resolve();
    if (!this.closesSlowly) fake.left.resolve();
    await fake.joined.promise;
    return {
      say: async (text) => {
        if (this.sayFails) throw new Error("AgentSession is not running");
        fake.said.push(text);
      },
      close: async () => {
        fake.closes += 1;
        await fake.left.promise;
        if (this.closeFails) throw new Error("handle not found");
      },
    };
  }

  /** The agent that was started last. */
  get agent(): FakeAgent {
    const last = this.agents.at(-1);
    if (!last) throw new Error("no agent was started");
    return last;
  }

  /** States and reasons of a session in the order clients heard of them. */
  states(sessionId: string): string[] {
    return this.events.flatMap(([id, { type, data }]) => {
      if (type !== "session" || id !== sessionId) return [];
      return [data.reason === undefined ? data.state : `${data.state} ${data.reason}`];
    });
  }

  /** Errors that clients heard of. */
  errors(): string[] {
    return this.events.flatMap(([, { type, data }]) => (type === "error" ? [data.code] : []));
  }

  /** Nothing is left of sessions, but for what the history tells of those that ended. */
  expectNothingLeft(): void {
    expect({ live: this.manager.liveCount, stagesInUse: this.stagesInUse }).toEqual({
      live: 0,
      stagesInUse: 0,
    });
    expect(this.sessions.live()).toEqual([]);
    expect(this.agents.filter(({ closes }) => closes === 0)).toEqual([]);
  }

  /** A disk that refuses every write, or takes them again; it can be read all the time. */
  refuseWrites(refused: boolean): void {
    this.#database.handle.pragma(`query_only = ${refused ? 1 : 0}`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.refuseWrites(false);
    for (const agent of this.agents) {
      agent.joined.resolve();
      agent.left.resolve();
    }
    return this.#open.disposeAsync();
  }
}

/** Lets everything that waits for settled promises run; no time passes. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await null;
}

export async function isPending(work: Promise<unknown>): Promise<boolean> {
  let pending = true;
  const settled = () => {
    pending = false;
  };
  work.then(settled, settled);
  await settle();
  return pending;
}
