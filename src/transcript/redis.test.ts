import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { RedisClient } from "bun";
import { eventually } from "../../test/e2e/wait.ts";
import {
  Collector,
  ENDED,
  envelopeOf,
  MemoryLog,
  memoryLogger,
  upTo,
} from "../../test/event-log.ts";
import { type RedisServer, startRedis } from "../../test/redis-server.ts";
import { channelLayerContract } from "./channel-layer.contract.ts";
import { RedisChannelLayer } from "./redis.ts";

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis[Symbol.asyncDispose]());

/** One Parley instance, as far as the layer is concerned. */
async function openNode() {
  const [log, logger] = [new MemoryLog(), memoryLogger()];
  const layer = new RedisChannelLayer({ url: redis.url, log, logger });
  await layer.ping();
  return {
    layer,
    log,
    logger,
    /** Publishes `from` to `to` as the hub does: the log first. */
    publish(session: string, from: number, to = from) {
      for (let seq = from; seq <= to; seq++) {
        const envelope = envelopeOf(session, seq);
        log.append(envelope);
        layer.publish(envelope);
      }
    },
    [Symbol.asyncDispose]: () => layer[Symbol.asyncDispose](),
  };
}
type Node = Awaited<ReturnType<typeof openNode>>;

channelLayerContract("RedisChannelLayer", openNode);

/** Resolves once `check` is true. @throws Error when it is not in time */
async function until(check: () => boolean | Promise<boolean>): Promise<void> {
  await eventually(`${check}`, async () => check(), Boolean, 30_000);
}

async function untilRead(node: Node, session: string, seq: number): Promise<void> {
  await until(async () => {
    const position = await node.layer.position(session).catch(() => undefined);
    return position?.seq === seq;
  });
}

describe("two nodes on one Redis", () => {
  test("a session of one is replayed and live on the other, including its end", async () => {
    await using here = await openNode();
    await using there = await openNode();
    const session = Bun.randomUUIDv7();
    here.publish(session, 1, 40);
    await untilRead(there, session, 40);
    const received = new Collector();
    const end = await there.layer.subscribe(session, received.listener);
    expect(await there.layer.read(session, 0)).toEqual(here.log.read(session, 0));
    here.publish(session, 41, 300);
    here.log.append(envelopeOf(session, 301, ENDED));
    here.layer.publish(envelopeOf(session, 301, ENDED));
    await received.until(301);
    expect(received.seqs).toEqual(upTo(301).slice(40));
    expect(await there.layer.position(session)).toEqual({ seq: 301, ended: true });
    await end();
    expect([here.layer.counts.outgoing, there.layer.counts.feeds]).toEqual([0, 0]);
  });

  test("the publishing node's own listeners are served at once and only once", async () => {
    await using here = await openNode();
    await using there = await openNode();
    const session = Bun.randomUUIDv7();
    const [own, far] = [new Collector(), new Collector()];
    await here.layer.subscribe(session, own.listener);
    await there.layer.subscribe(session, far.listener);
    here.publish(session, 1, 100);
    expect(own.seqs).toEqual(upTo(100));
    await far.until(100);
    // By now Redis has announced all of them to this node too.
    await here.layer.ping();
    expect([own.seqs, far.seqs]).toEqual([upTo(100), upTo(100)]);
  });

  test("subscribers that come and go under load miss nothing between read and live", async () => {
    await using here = await openNode();
    await using there = await openNode();
    const session = Bun.randomUUIDv7();
    here.publish(session, 1);
    await untilRead(there, session, 1);
    let next = 2;
    for (let round = 0; round < 30; round++) {
      const received = new Collector();
      const subscribing = there.layer.subscribe(session, received.listener);
      here.publish(session, next, next + 9);
      const end = await subscribing;
      here.publish(session, next + 10, next + 19);
      const past = (await there.layer.read(session, 0)).map((envelope) => envelope.seq);
      here.publish(session, next + 20, next + 29);
      next += 30;
      await received.until(next - 1);
      const read = past.at(-1) ?? 0;
      expect(past).toEqual(upTo(read));
      const live = received.seqs.filter((seq) => seq > read);
      expect([...past, ...live]).toEqual(upTo(next - 1));
      expect(received.seqs).toEqual([...received.seqs].sort((a, b) => a - b));
      await end();
    }
  });
});

describe("Redis goes away", () => {
  for (const empty of [false, true]) {
    const what = empty ? "and comes back empty" : "and comes back";
    test(`${what}: nothing is lost or doubled on either node`, async () => {
      await using here = await openNode();
      await using there = await openNode();
      const session = Bun.randomUUIDv7();
      const [own, far] = [new Collector(), new Collector()];
      await here.layer.subscribe(session, own.listener);
      await there.layer.subscribe(session, far.listener);
      let last = 0;
      for (let round = 0; round < 3; round++) {
        here.publish(session, last + 1, last + 500);
        // In the middle of sending: some of these have arrived, some not.
        await redis.kill();
        here.publish(session, last + 501, last + 3000);
        last += 3000;
        expect(own.seqs).toEqual(upTo(last));
        await redis.start({ empty });
        here.publish(session, ++last);
        await far.until(last);
        expect(far.seqs).toEqual(upTo(last));
        await untilRead(there, session, last);
        expect((await there.layer.read(session, 0)).map(({ seq }) => seq)).toEqual(upTo(last));
      }
      expect(own.seqs).toEqual(upTo(last));
    });
  }

  test("is logged once, and other nodes' sessions are unavailable meanwhile", async () => {
    await using here = await openNode();
    const session = Bun.randomUUIDv7();
    await redis.kill();
    here.publish(session, 1, 200);
    await expect(here.layer.ping()).rejects.toMatchObject({ kind: "unavailable" });
    const foreign = Bun.randomUUIDv7();
    await expect(here.layer.read(foreign, 0)).rejects.toMatchObject({ kind: "unavailable" });
    await expect(here.layer.position(foreign)).rejects.toMatchObject({ kind: "unavailable" });
    await here.layer.subscribe(foreign, () => {});
    expect((await here.layer.read(session, 198)).map(({ seq }) => seq)).toEqual([199, 200]);
    const warnings = here.logger.lines.filter(({ level }) => Number(level) >= 40);
    expect(warnings).toHaveLength(1);
    await redis.start();
    await until(() =>
      here.layer.ping().then(
        () => true,
        () => false,
      ),
    );
  });

  test("a node that starts meanwhile catches up once Redis is back", async () => {
    await redis.kill();
    const [log, logger] = [new MemoryLog(), memoryLogger()];
    await using layer = new RedisChannelLayer({ url: redis.url, log, logger });
    const session = Bun.randomUUIDv7();
    for (const seq of upTo(50)) {
      log.append(envelopeOf(session, seq));
      layer.publish(envelopeOf(session, seq));
    }
    await redis.start();
    await using there = await openNode();
    await untilRead(there, session, 50);
    expect((await there.layer.read(session, 0)).map(({ seq }) => seq)).toEqual(upTo(50));
  });
});

describe("unexpected data in Redis", () => {
  test("foreign and forged messages and entries are ignored", async () => {
    await using there = await openNode();
    await using here = await openNode();
    const intruder = new RedisClient(redis.url, { autoReconnect: false });
    await intruder.connect();
    const session = Bun.randomUUIDv7();
    const [channel, stream] = [`parley:{${session}}:live`, `parley:{${session}}:events`];
    const received = new Collector();
    await there.layer.subscribe(session, received.listener);
    const forged = { ...envelopeOf(session, 1_000_000), seq: 1_000_000 };
    const other = envelopeOf(Bun.randomUUIDv7(), 1);
    const texts = ["", "not json", "[]", '{"type":"session"}', '{"__proto__":1}', "9".repeat(5000)];
    for (const text of [...texts, JSON.stringify(forged), JSON.stringify(other)]) {
      await intruder.publish(channel, text);
    }
    here.publish(session, 1, 3);
    await received.until(3);
    await intruder.send("XADD", [stream, "4-0", "e", "not json"]);
    await intruder.send("XADD", [stream, "5-0", "e", JSON.stringify(envelopeOf(session, 77))]);
    expect(received.seqs).toEqual([1, 2, 3]);
    expect((await there.layer.read(session, 0)).map(({ seq }) => seq)).toEqual([1, 2, 3]);
    intruder.close();
  });

  test("a key of another type affects only that session, and only on other nodes", async () => {
    await using here = await openNode();
    await using there = await openNode();
    const intruder = new RedisClient(redis.url, { autoReconnect: false });
    await intruder.connect();
    const [spoilt, fine] = [Bun.randomUUIDv7(), Bun.randomUUIDv7()];
    await intruder.send("SET", [`parley:{${spoilt}}:events`, "mine"]);
    const own = new Collector();
    await here.layer.subscribe(spoilt, own.listener);
    here.publish(spoilt, 1, 100);
    here.publish(fine, 1, 100);
    await untilRead(there, fine, 100);
    expect(own.seqs).toEqual(upTo(100));
    const errors = here.logger.lines.filter((line) => String(line["msg"]).includes("refused"));
    expect(errors).toHaveLength(1);
    intruder.close();
  });

  test("a session expires a day after its newest event", async () => {
    await using here = await openNode();
    const session = Bun.randomUUIDv7();
    here.publish(session, 1);
    const client = new RedisClient(redis.url, { autoReconnect: false });
    await client.connect();
    const key = `parley:{${session}}:events`;
    await until(async () => (await client.exists(key)) === true);
    expect(await client.ttl(key)).toBeGreaterThan(86_000);
    client.close();
  });
});

test("closing sends what still waits and leaves no connection open", async () => {
  const client = new RedisClient(redis.url, { autoReconnect: false });
  await client.connect();
  const count = async () =>
    String(await client.send("CLIENT", ["LIST"]))
      .trim()
      .split("\n").length;
  const before = await count();
  const session = Bun.randomUUIDv7();
  {
    await using here = await openNode();
    await here.layer.subscribe(session, () => {});
    expect(await count()).toBe(before + 2);
    here.publish(session, 1, 2000);
  }
  await until(async () => (await count()) === before);
  await using there = await openNode();
  expect((await there.layer.position(session)).seq).toBe(2000);
  client.close();
});
