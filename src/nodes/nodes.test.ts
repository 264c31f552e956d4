import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { RedisClient } from "bun";
import { sessionOf } from "../../test/database.ts";
import { eventually } from "../../test/e2e/wait.ts";
import { Collector, memoryLogger, openLog, range, transcriptEvent } from "../../test/event-log.ts";
import { failureOf } from "../../test/failure-of.ts";
import { type RedisServer, startRedis } from "../../test/redis-server.ts";
import { SqliteSessionStore } from "../db/session-store.ts";
import { Failure } from "../errors.ts";
import { NODES_KEY } from "./node-registry.ts";
import { joinNodes, type Nodes } from "./nodes.ts";

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis[Symbol.asyncDispose]());

const newRoom = () => `room ${crypto.randomUUID()}`;

const TIMING = { beat: 50, gone: 2000, settle: 700 };

/** A lease of a room or why there is none, once it is known. */
function answerAbout({ leases }: Pick<Nodes, "leases">, room: string) {
  return eventually(
    `an answer about ${room}`,
    () => leases.acquire(room, Bun.randomUUIDv7(), () => {}).catch(expectFailure),
    (answer) => !(answer instanceof Failure) || answer.kind !== "unavailable",
    20_000,
  );
}

function expectFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  throw error;
}

/** One Parley without agents: its log on disk, and what it shares with the others. */
async function openNode() {
  const stored = openLog();
  const logger = memoryLogger();
  const sessions = new SqliteSessionStore(stored.database);
  const said: string[] = [];
  const nodes = joinNodes({
    url: redis.url,
    log: stored.events,
    own: {
      sessions,
      transcripts: stored.events,
      stop: async (id, reason = "stopped") => stored.log.end(id, reason),
      say: async (_id, text) => {
        if (text === "nobody listens") throw new Failure("conflict", "It is not running.");
        said.push(text);
      },
    },
    logger,
    timing: TIMING,
  });
  stored.connect((envelope) => nodes.layer.publish(envelope));
  // From now on the others know this node.
  const answer = await answerAbout(nodes, newRoom());
  if (answer instanceof Failure) throw answer;
  await answer[Symbol.asyncDispose]();
  return {
    ...{ stored, sessions, said, logger },
    ...{ layer: nodes.layer, leases: nodes.leases, others: nodes.others },
    /** Begins a session in a room as the session manager does. */
    async begin(room: string, onLost = () => {}) {
      const session = sessionOf({ room });
      const lease = await nodes.leases.acquire(room, session.id, onLost);
      stored.log.begin(session);
      return { ...session, lease };
    },
    [Symbol.asyncDispose]: async () => {
      await nodes[Symbol.asyncDispose]();
      stored[Symbol.dispose]();
    },
  };
}
type Node = Awaited<ReturnType<typeof openNode>>;

async function command(...[name, ...args]: [string, ...string[]]): Promise<unknown> {
  const client = new RedisClient(redis.url, { autoReconnect: false });
  await client.connect();
  try {
    return await client.send(name, args);
  } finally {
    client.close();
  }
}

function untilKnown(node: Node, id: string, seq = 1): Promise<unknown> {
  const position = () => node.layer.position(id).catch(() => ({ seq: 0 }));
  return eventually(
    "the session on the other node",
    position,
    (found) => found.seq === seq,
    20_000,
  );
}

describe("a room", () => {
  test("belongs to one node at a time, however many ask for it", async () => {
    await using here = await openNode();
    await using there = await openNode();
    const room = newRoom();
    const answers = await Promise.allSettled(
      [here, there, here, there].map((node) => node.begin(room)),
    );
    expect(answers.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    const refused = await failureOf(there.begin(room));
    expect(refused).toMatchObject({ kind: "conflict", message: expect.stringContaining(room) });
  });

  test("is free for others once its conversation is over", async () => {
    await using here = await openNode();
    await using there = await openNode();
    const room = newRoom();
    const { lease } = await here.begin(room);
    await lease[Symbol.asyncDispose]();
    const second = await there.begin(room);
    // What was given back cannot be given back again.
    await lease[Symbol.asyncDispose]();
    expect((await failureOf(here.begin(room))).kind).toBe("conflict");
    await second.lease[Symbol.asyncDispose]();
  });

  test("is not given away while Redis is away, nor before its owner could claim it again", async () => {
    await using here = await openNode();
    await using there = await openNode();
    const room = newRoom();
    let lost = false;
    await here.begin(room, () => {
      lost = true;
    });
    await redis.kill();
    const away = await failureOf(there.begin(room));
    expect(away).toMatchObject({ kind: "unavailable", retryAfter: expect.any(Number) });
    await redis.start({ empty: true });
    expect(await answerAbout(there, room)).toMatchObject({ kind: "conflict" });
    expect(lost).toBe(false);
  });

  test("is not given away while Redis is emptied, and what was in it comes back", async () => {
    await using here = await openNode();
    await using there = await openNode();
    const room = newRoom();
    const { id } = await here.begin(room);
    await untilKnown(there, id);
    await command("FLUSHALL");
    expect(await answerAbout(there, room)).toMatchObject({ kind: "conflict" });
    await untilKnown(there, id);
  });

  test("that another node has taken meanwhile is lost, which its owner learns once", async () => {
    await using here = await openNode();
    const room = newRoom();
    const lost = Promise.withResolvers<void>();
    let times = 0;
    await here.begin(room, () => {
      times += 1;
      lost.resolve();
    });
    await command("SET", `parley:2:room:${room}`, "another");
    await lost.promise;
    await eventually("some beats", () => here.others.live(), Array.isArray);
    expect(times).toBe(1);
  });
});

describe("the sessions of another node", () => {
  test("are listed, shown with what was said, talked to and ended", async () => {
    await using here = await openNode();
    await using there = await openNode();
    await using third = await openNode();
    const { id } = await here.begin(newRoom());
    const { id: other } = await third.begin(newRoom());
    here.stored.log.append(id, transcriptEvent("hello"));
    const listed = await there.others.live();
    expect(listed.map((session) => session.id).sort()).toEqual([id, other].sort());
    const shown = await there.others.find(id);
    expect(shown?.session).toEqual(here.sessions.live()[0]);
    expect(shown?.segments).toEqual(here.stored.events.segments(id));
    expect(await there.others.say(id, "hi")).toBe(true);
    expect(here.said).toEqual(["hi"]);
    expect(await there.others.stop(id)).toBe(true);
    expect(here.sessions.find(id)?.end_reason).toBe("stopped");
    expect((await there.others.find(id))?.session.state).toBe("ended");
    expect((await there.others.live()).map((session) => session.id)).toEqual([other]);
  });

  test("nobody has: that is said at once, and the reasons of a node are passed on", async () => {
    await using here = await openNode();
    await using there = await openNode();
    const unknown = Bun.randomUUIDv7();
    expect(await there.others.find(unknown)).toBeUndefined();
    expect(await there.others.stop(unknown)).toBe(false);
    expect(await there.others.say(unknown, "hi")).toBe(false);
    const { id } = await here.begin(newRoom());
    expect(await failureOf(there.others.say(id, "nobody listens"))).toMatchObject({
      kind: "conflict",
      message: "It is not running.",
    });
  });

  test("that does not answer: unavailable after a while, and so without Redis", async () => {
    await using here = await openNode();
    await using slow = await openNode();
    // It is heard, and says nothing.
    const hear = setInterval(
      () => void command("HSET", NODES_KEY, "silent", `{"beat":${Date.now()},"sessions":[]}`),
      200,
    );
    try {
      await eventually("the silent node", () => command("HGET", NODES_KEY, "silent"), Boolean);
      const failure = await failureOf(here.others.find(Bun.randomUUIDv7()));
      expect(failure).toMatchObject({ kind: "unavailable", retryAfter: 2 });
      // The node that has the session is enough.
      const { id } = await slow.begin(newRoom());
      expect((await here.others.find(id))?.session.id).toBe(id);
    } finally {
      clearInterval(hear);
    }
    await redis.kill();
    const away = await failureOf(here.others.find(Bun.randomUUIDv7()));
    expect(away).toMatchObject({ kind: "unavailable", retryAfter: 5 });
    await redis.start();
  });
});

describe("a node that is gone", () => {
  test("has its sessions ended once, by whichever node notices first", async () => {
    await using here = await openNode();
    await using there = await openNode();
    await using gone = await openNode();
    const { id } = await gone.begin(newRoom());
    gone.stored.log.append(id, transcriptEvent("half a sen", { final: false }));
    await untilKnown(here, id, 2);
    const received = [new Collector(), new Collector()];
    await here.layer.subscribe(id, (envelope) => received[0]?.listener(envelope));
    await there.layer.subscribe(id, (envelope) => received[1]?.listener(envelope));
    // A state that stands still, and names the session.
    await command("HSET", NODES_KEY, "gone", JSON.stringify({ beat: 1, sessions: [id] }));
    for (const collector of received) {
      await collector.until(4);
      expect(collector.seqs).toEqual(range(3, 4));
      expect(collector.envelopes).toMatchObject([
        { data: { text: "half a sen", final: true, interrupted: true } },
        { data: { state: "ended", reason: "crashed" } },
      ]);
    }
    await eventually("that it is forgotten", () => command("HEXISTS", NODES_KEY, "gone"), isZero);
    // What the node itself says when it comes back changes nothing.
    gone.stored.log.end(id, "crashed");
    await gone.layer.ping();
    expect(await here.layer.position(id)).toEqual({ seq: 4, ended: true });
  });

  test("that only was silent ends a session which the others have ended", async () => {
    await using here = await openNode();
    await using there = await openNode();
    const { id } = await here.begin(newRoom());
    await untilKnown(there, id);
    await command("HSET", NODES_KEY, "gone", JSON.stringify({ beat: 1, sessions: [id] }));
    await eventually(
      "the end",
      () => there.layer.position(id),
      ({ ended }) => ended,
    );
    here.stored.log.append(id, transcriptEvent("still here"));
    const own = async () => here.sessions.find(id);
    await eventually("its own end", own, (session) => session?.state === "ended");
    expect(here.sessions.find(id)?.end_reason).toBe("crashed");
  });

  test("leaves nothing behind when it ends in order", async () => {
    {
      await using here = await openNode();
      const { lease } = await here.begin(newRoom());
      await lease[Symbol.asyncDispose]();
      await eventually(
        "its state",
        () => command("HLEN", NODES_KEY),
        (size) => Number(size) > 0,
      );
    }
    expect(await command("HLEN", NODES_KEY)).toBe(0);
  });
});

test("what others write into the same Redis is ignored", async () => {
  await using here = await openNode();
  await using there = await openNode();
  for (const text of ["", "not json", "[]", '{"beat":"x"}', '{"sessions":[{}]}']) {
    await command("HSET", NODES_KEY, `strange ${text}`, text);
    await command("PUBLISH", "parley:2:requests", text);
  }
  await command(
    "PUBLISH",
    "parley:2:requests",
    '{"id":"1","from":"x","question":{"about":"eval"}}',
  );
  await command("SET", "parley:nodes", "an older version");
  const { id } = await here.begin(newRoom());
  await untilKnown(there, id);
  // They never answered, and are forgotten like any node that is gone.
  await eventually(
    "an answer",
    () => there.others.find(id).catch(() => undefined),
    (found) => found?.session.id === id,
  );
  const errors = here.logger.lines.filter(({ level }) => Number(level) >= 50);
  expect(errors).toEqual([]);
});

function isZero(value: unknown): boolean {
  return value === 0;
}
