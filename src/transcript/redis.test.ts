import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { RedisClient } from "bun";
import { eventually } from "../../test/e2e/wait.ts";
import {
  Collector,
  envelopeOf,
  memoryLogger,
  noticeEvent,
  openLog,
  range,
  transcriptEvent,
  upTo,
} from "../../test/event-log.ts";
import { type RedisServer, startRedis } from "../../test/redis-server.ts";
import { channelLayerContract } from "./channel-layer.contract.ts";
import { RedisChannelLayer } from "./redis.ts";
import { RedisLink } from "./redis-link.ts";

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis[Symbol.asyncDispose]());

/**
 * One Parley, as far as the layer is concerned: its log on disk and its link to Redis.
 * @param kept the log of an earlier start, which stays
 */
function startNode(kept?: ReturnType<typeof openLog>) {
  const stored = kept ?? openLog();
  const logger = memoryLogger();
  const link = new RedisLink({ url: redis.url, logger, pingEveryMs: 200 });
  const endedElsewhere: string[] = [];
  const layer = new RedisChannelLayer({
    ...{ link, logger },
    log: stored.events,
    onEndedElsewhere: (sessionId) => endedElsewhere.push(sessionId),
  });
  stored.connect((envelope) => layer.publish(envelope));
  return {
    ...{ stored, link, layer, logger, endedElsewhere },
    begin: () => stored.begin(),
    /** Stores and publishes notices up to a `seq`. */
    publish(session: string, upToSeq: number) {
      for (let { seq } = stored.events.position(session); seq < upToSeq; seq++) {
        stored.log.append(session, noticeEvent(`event ${seq + 1}`));
      }
    },
    warnings: () => logger.lines.filter(({ level }) => Number(level) >= 40),
    [Symbol.asyncDispose]: async () => {
      await layer[Symbol.asyncDispose]();
      link.close();
      if (!kept) stored[Symbol.dispose]();
    },
  };
}
type Node = ReturnType<typeof startNode>;

async function openNode(): Promise<Node> {
  const node = startNode();
  await node.layer.ping();
  return node;
}

/** A connection of a test's own. */
async function openClient() {
  const client = new RedisClient(redis.url, { autoReconnect: false });
  await client.connect();
  return client;
}

async function flushAll(): Promise<void> {
  const client = await openClient();
  await client.send("FLUSHALL", []);
  client.close();
}

/** What a power cut may do, and a restored backup does. */
function loseEvents({ database: { handle } }: ReturnType<typeof openLog>, after: number): void {
  for (const table of ["events", "interims"]) {
    handle.prepare(`delete from ${table} where seq > ?`).run(after);
  }
}

const keyOf = (session: string, name: string) => `parley:2:{${session}}:${name}`;

channelLayerContract("RedisChannelLayer", openNode);

/** Resolves once `check` is true. @throws Error when it is not in time */
async function until(check: () => boolean | Promise<boolean>, what = `${check}`): Promise<void> {
  await eventually(what, async () => check(), Boolean, 30_000);
}

function untilRead(node: Node, session: string, seq: number): Promise<void> {
  return until(async () => {
    const position = await node.layer.position(session).catch(() => undefined);
    return position?.seq === seq;
  }, `event ${seq} on the other node`);
}

async function seqsOf(node: Node, session: string): Promise<number[]> {
  return (await node.layer.read(session, 0)).map(({ seq }) => seq);
}

describe("two nodes on one Redis", () => {
  test("a session of one is replayed and live on the other, including its end", async () => {
    await using here = await openNode();
    await using there = await openNode();
    const session = here.begin();
    here.publish(session, 40);
    await untilRead(there, session, 40);
    const received = new Collector();
    const end = await there.layer.subscribe(session, received.listener);
    expect(await there.layer.read(session, 0)).toEqual(here.stored.events.read(session, 0));
    here.publish(session, 300);
    here.stored.log.end(session, "stopped");
    await received.until(301);
    expect(received.seqs).toEqual(range(41, 301));
    expect(await there.layer.position(session)).toEqual({ seq: 301, ended: true });
    await end();
    await until(() => here.layer.counts.outgoing === 0);
    expect(there.layer.counts.feeds).toBe(0);
  });

  test("the publishing node's own listeners are served at once and only once", async () => {
    await using here = await openNode();
    await using there = await openNode();
    const session = here.begin();
    const [own, far] = [new Collector(), new Collector()];
    await here.layer.subscribe(session, own.listener);
    await untilRead(there, session, 1);
    await there.layer.subscribe(session, far.listener);
    here.publish(session, 100);
    expect(own.seqs).toEqual(range(2, 100));
    await far.until(100);
    // By now Redis has announced all of them to this node too.
    await here.layer.ping();
    expect([own.seqs, far.seqs]).toEqual([range(2, 100), range(2, 100)]);
  });

  test("subscribers that come and go under load miss nothing between read and live", async () => {
    await using here = await openNode();
    await using there = await openNode();
    const session = here.begin();
    await untilRead(there, session, 1);
    let newest = 1;
    for (let round = 0; round < 15; round++) {
      const received = new Collector();
      const subscribing = there.layer.subscribe(session, received.listener);
      here.publish(session, newest + 10);
      const end = await subscribing;
      here.publish(session, newest + 20);
      const past = await seqsOf(there, session);
      here.publish(session, newest + 30);
      newest += 30;
      await received.until(newest);
      const read = past.at(-1) ?? 0;
      expect(past).toEqual(upTo(read));
      const live = received.seqs.filter((seq) => seq > read);
      expect([...past, ...live]).toEqual(upTo(newest));
      expect(received.seqs).toEqual([...received.seqs].sort((a, b) => a - b));
      await end();
    }
  });
});

describe("what Redis keeps", () => {
  test("is what was said, for as long as the session; replaced interims go", async () => {
    await using here = await openNode();
    await using there = await openNode();
    const session = here.begin();
    for (let turn = 0; turn < 100; turn++) {
      for (let word = 0; word < 15; word++) {
        const interim = { segment_id: `s${turn}`, final: false };
        here.stored.log.append(session, transcriptEvent(`turn ${turn} word ${word}`, interim));
      }
      here.stored.log.append(session, transcriptEvent(`turn ${turn}`, { segment_id: `s${turn}` }));
    }
    await untilRead(there, session, 1601);
    const read = await there.layer.read(session, 0);
    const finals = read.filter(({ type, data }) => type === "transcript" && data.final);
    expect(finals).toHaveLength(100);
    expect(read.length).toBeLessThan(1400);
    // The newest thousand are all there.
    expect(read.slice(-1000).map(({ seq }) => seq)).toEqual(range(602, 1601));
    const pages = await there.layer.read(session, 0, 70);
    expect(pages).toEqual(read.slice(0, 70));
  });

  test("a start that fails reaches subscribers of another node; then nobody knows it", async () => {
    await using here = await openNode();
    await using there = await openNode();
    const session = here.begin();
    await untilRead(there, session, 1);
    const received = new Collector();
    await there.layer.subscribe(session, received.listener);
    here.stored.log.discard(session);
    await received.until(2);
    expect(received.envelopes).toMatchObject([
      { type: "session", data: { state: "ended", reason: "agent_failed" } },
    ]);
    for (const node of [here, there]) {
      expect((await node.layer.position(session)).seq).toBe(0);
      expect(await node.layer.read(session, 0)).toEqual([]);
    }
    expect(here.layer.counts.outgoing).toBe(0);
  });

  test("a session that other nodes ended for its node has one end, and ends there too", async () => {
    await using here = await openNode();
    await using there = await openNode();
    await using third = await openNode();
    const session = here.begin();
    here.stored.log.append(session, transcriptEvent("half a sen", { final: false }));
    await untilRead(there, session, 2);
    const received = new Collector();
    await there.layer.subscribe(session, received.listener);
    await Promise.all([
      there.layer.endForGone(session, "crashed"),
      third.layer.endForGone(session, "crashed"),
    ]);
    await received.until(4);
    expect(received.envelopes).toMatchObject([
      { seq: 3, data: { text: "half a sen", final: true, interrupted: true } },
      { seq: 4, data: { state: "ended", reason: "crashed" } },
    ]);
    here.publish(session, 5);
    await until(() => here.endedElsewhere.length > 0);
    expect(here.endedElsewhere).toEqual([session]);
    here.stored.log.end(session, "crashed");
    await until(() => here.layer.counts.outgoing === 0);
    expect(await there.layer.position(session)).toEqual({ seq: 4, ended: true });
  });
});

describe("Redis goes away", () => {
  for (const empty of [false, true]) {
    const what = empty ? "and comes back empty" : "and comes back";
    test(`${what}: nothing is lost or doubled on either node`, async () => {
      await using here = await openNode();
      await using there = await openNode();
      const session = here.begin();
      const [own, far] = [new Collector(), new Collector()];
      await here.layer.subscribe(session, own.listener);
      await untilRead(there, session, 1);
      await there.layer.subscribe(session, far.listener);
      let newest = 1;
      for (let round = 0; round < 3; round++) {
        here.publish(session, newest + 300);
        // In the middle of sending: some of these have arrived, some not.
        await redis.kill();
        here.publish(session, newest + 1000);
        newest += 1000;
        expect(own.seqs).toEqual(range(2, newest));
        await redis.start({ empty });
        here.publish(session, ++newest);
        await far.until(newest);
        expect(far.seqs).toEqual(range(2, newest));
        await untilRead(there, session, newest);
        expect(await seqsOf(there, session)).toEqual(upTo(newest));
      }
      expect(own.seqs).toEqual(range(2, newest));
    });
  }

  test("is logged once, and other nodes' sessions are unavailable meanwhile", async () => {
    await using here = await openNode();
    const session = here.begin();
    await redis.kill();
    here.publish(session, 200);
    await expect(here.layer.ping()).rejects.toMatchObject({ kind: "unavailable", retryAfter: 5 });
    const foreign = Bun.randomUUIDv7();
    await expect(here.layer.read(foreign, 0)).rejects.toMatchObject({ kind: "unavailable" });
    await expect(here.layer.position(foreign)).rejects.toMatchObject({ kind: "unavailable" });
    await here.layer.subscribe(foreign, () => {});
    expect((await here.layer.read(session, 198)).map(({ seq }) => seq)).toEqual([199, 200]);
    expect(here.warnings()).toHaveLength(1);
    await redis.start();
    await until(() => here.link.isConnected);
  });

  test("a node that starts meanwhile catches up once Redis is back", async () => {
    await redis.kill();
    await using node = startNode();
    const session = node.begin();
    node.publish(session, 50);
    await redis.start();
    await using there = await openNode();
    await untilRead(there, session, 50);
    expect(await seqsOf(there, session)).toEqual(upTo(50));
  });

  test("conversations that run and end meanwhile cost no memory, and arrive afterwards", async () => {
    await using here = await openNode();
    await redis.kill();
    await until(() => !here.link.isConnected);
    const sessions: string[] = [];
    Bun.gc(true);
    const before = process.memoryUsage().heapUsed;
    here.stored.database.handle.pragma("synchronous = OFF");
    for (let count = 0; count < 30; count++) {
      const session = here.begin();
      for (let event = 0; event < 100; event++) {
        here.stored.log.append(session, noticeEvent("w".repeat(900)));
      }
      here.stored.log.end(session, "stopped");
      sessions.push(session);
    }
    Bun.gc(true);
    // The texts alone are 2.7 MB.
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(1_000_000);
    expect(here.layer.counts.outgoing).toBe(30);
    await redis.start();
    await using there = await openNode();
    for (const session of sessions) await untilRead(there, session, 102);
    await until(() => here.layer.counts.outgoing === 0);
  });
});

describe("Redis loses its data, or hangs", () => {
  test("is emptied: another node says so until it is filled again, and then has all of it", async () => {
    await using here = await openNode();
    await using there = await openNode();
    const session = here.begin();
    here.publish(session, 1500);
    await untilRead(there, session, 1500);
    const far = new Collector();
    await there.layer.subscribe(session, far.listener);
    await flushAll();
    for (const look of [
      () => there.layer.read(session, 0),
      () => there.layer.position(session),
      () => there.layer.snapshot(session),
    ]) {
      await expect(look()).rejects.toMatchObject({ kind: "unavailable", retryAfter: 1 });
    }
    here.layer.resume();
    await untilRead(there, session, 1500);
    expect(await seqsOf(there, session)).toEqual(upTo(1500));
    expect(far.seqs).toEqual([]);
  });

  test("hangs: everything that asks it is answered in bounded time, and all arrives later", async () => {
    await using here = await openNode();
    await using there = await openNode();
    const session = here.begin();
    await untilRead(there, session, 1);
    const far = new Collector();
    await there.layer.subscribe(session, far.listener);
    redis.signal("SIGSTOP");
    try {
      here.publish(session, 100);
      await expect(there.layer.position(session)).rejects.toMatchObject({ kind: "unavailable" });
      await expect(there.layer.read(session, 0)).rejects.toMatchObject({ kind: "unavailable" });
      // A server that hangs is noticed although nobody asks it anything.
      await until(() => !here.link.isConnected && !there.link.isConnected);
    } finally {
      redis.signal("SIGCONT");
    }
    await far.until(100);
    expect(far.seqs).toEqual(range(2, 100));
  });
});

describe("a log that lost its end", () => {
  test("of which Redis knows more: other nodes learn that the session is over", async () => {
    await using there = await openNode();
    using stored = openLog();
    const session = stored.begin();
    {
      await using before = startNode(stored);
      before.publish(session, 99);
      before.stored.log.append(session, transcriptEvent("half a sen", { final: false }));
      await untilRead(there, session, 100);
    }
    const far = new Collector();
    await there.layer.subscribe(session, far.listener);
    loseEvents(stored, 90);
    await using after = startNode(stored);
    stored.log.end(session, "crashed");
    expect(await after.layer.position(session)).toEqual({ seq: 91, ended: true });
    await far.until(102);
    expect(far.envelopes).toMatchObject([
      { seq: 101, data: { text: "half a sen", final: true, interrupted: true } },
      { seq: 102, data: { state: "ended", reason: "crashed" } },
    ]);
    expect(await there.layer.position(session)).toEqual({ seq: 102, ended: true });
    await until(() => after.layer.counts.outgoing === 0);
  });

  test("and whose Redis was emptied too: a client that is ahead of both gets the end", async () => {
    await using there = await openNode();
    using stored = openLog();
    const session = stored.begin();
    {
      await using before = startNode(stored);
      before.publish(session, 100);
      await untilRead(there, session, 100);
    }
    const far = new Collector();
    await there.layer.subscribe(session, far.listener);
    loseEvents(stored, 90);
    await flushAll();
    await using _after = startNode(stored);
    stored.log.end(session, "crashed");
    await far.until(101);
    expect(far.envelopes).toMatchObject([{ seq: 101, data: { state: "ended" } }]);
  });

  test("that cannot be read is logged as what it is", async () => {
    await using here = await openNode();
    const session = here.begin();
    await redis.kill();
    await until(() => !here.link.isConnected);
    // The oldest are no longer in memory.
    here.publish(session, 1500);
    here.stored.log.end(session, "stopped");
    here.stored.database.handle.prepare("update events set data = '{}' where seq = 10").run();
    await redis.start();
    await until(() => here.layer.counts.outgoing === 0);
    const errors = here.logger.lines.filter(({ level }) => Number(level) >= 50);
    expect(errors).toMatchObject([
      {
        session_id: session,
        msg: "a stored event cannot be read; other nodes do not get it",
        error: expect.stringContaining(`Event 10 of session ${session}`),
      },
    ]);
  });
});

describe("unexpected data in Redis", () => {
  test("foreign and forged messages and entries are ignored", async () => {
    await using there = await openNode();
    await using here = await openNode();
    const intruder = await openClient();
    const session = here.begin();
    await untilRead(there, session, 1);
    const channel = keyOf(session, "live");
    const received = new Collector();
    await there.layer.subscribe(session, received.listener);
    const forged = [envelopeOf(session, 1_000_000), envelopeOf(Bun.randomUUIDv7(), 1)];
    const texts = ["", "not json", "[]", '{"type":"session"}', '{"__proto__":1}', "9".repeat(5000)];
    for (const text of [...texts, ...forged.map((envelope) => JSON.stringify(envelope))]) {
      await intruder.publish(channel, text);
    }
    here.publish(session, 3);
    await received.until(3);
    const recent = keyOf(session, "recent");
    await intruder.send("XADD", [recent, "4-0", "e", "not json"]);
    await intruder.send("XADD", [recent, "5-0", "e", JSON.stringify(envelopeOf(session, 77))]);
    expect(received.seqs).toEqual([2, 3]);
    expect(await seqsOf(there, session)).toEqual([1, 2, 3]);
    intruder.close();
  });

  test("a key of another type affects only that session, and only on other nodes", async () => {
    await using here = await openNode();
    await using there = await openNode();
    const intruder = await openClient();
    const [spoilt, fine] = [here.begin(), here.begin()];
    await untilRead(there, spoilt, 1);
    await intruder.send("SET", [keyOf(spoilt, "recent"), "mine"]);
    const own = new Collector();
    await here.layer.subscribe(spoilt, own.listener);
    here.publish(spoilt, 100);
    here.publish(fine, 100);
    await untilRead(there, fine, 100);
    expect(own.seqs).toEqual(range(2, 100));
    const errors = here.logger.lines.filter((line) => String(line["msg"]).includes("refused"));
    expect(errors).toHaveLength(1);
    intruder.close();
  });

  test("a session expires a day after its newest event", async () => {
    await using here = await openNode();
    const session = here.begin();
    const client = await openClient();
    for (const name of ["recent", "lasting"]) {
      const key = keyOf(session, name);
      await until(async () => (await client.exists(key)) === true);
      expect(await client.ttl(key)).toBeGreaterThan(86_000);
    }
    client.close();
  });
});

test("closing sends what still waits and leaves no connection open", async () => {
  const client = await openClient();
  const count = async () =>
    String(await client.send("CLIENT", ["LIST"]))
      .trim()
      .split("\n").length;
  const before = await count();
  let session: string;
  {
    await using here = await openNode();
    session = here.begin();
    await here.layer.subscribe(session, () => {});
    expect(await count()).toBe(before + 2);
    here.publish(session, 1000);
  }
  await until(async () => (await count()) === before);
  await using there = await openNode();
  expect((await there.layer.position(session)).seq).toBe(1000);
  client.close();
});
