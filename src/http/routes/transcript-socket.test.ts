import { describe, expect, test } from "bun:test";
import type { Socket } from "node:net";
import { Hono } from "hono";
import { insertSession, sessionOf, temporaryDatabase } from "../../../test/database.ts";
import { eventually } from "../../../test/e2e/wait.ts";
import { memoryLogger, transcriptEvent, upTo } from "../../../test/event-log.ts";
import { openRawSocket } from "../../../test/raw-http.ts";
import { startRedis } from "../../../test/redis-server.ts";
import { SqliteSessionLog } from "../../db/session-log.ts";
import { SqliteTranscriptStore } from "../../db/transcript-store.ts";
import { type Envelope, envelope } from "../../domain/transcript.ts";
import { type ChannelLayer, LocalChannelLayer } from "../../transcript/channel-layer.ts";
import { Hub } from "../../transcript/hub.ts";
import { RedisChannelLayer } from "../../transcript/redis.ts";
import { RedisLink } from "../../transcript/redis-link.ts";
import { createErrorHandler } from "../error-handler.tsx";
import { transcriptSocketHandlers, transcriptSocketRoutes } from "./transcript-socket.ts";

/** A Parley reduced to its transcripts: SQLite, hub, and Bun's server on a free port. */
function openNode(options: { redisUrl?: string; maxSockets?: number; idleS?: number } = {}) {
  const { redisUrl, maxSockets, idleS } = options;
  const stack = new AsyncDisposableStack();
  const { database } = stack.use(temporaryDatabase());
  const [transcripts, logger] = [new SqliteTranscriptStore(database), memoryLogger()];
  const layer: ChannelLayer = stack.use(
    redisUrl
      ? new RedisChannelLayer({
          link: stack.use(new RedisLink({ url: redisUrl, logger })),
          log: transcripts,
          logger,
        })
      : new LocalChannelLayer({ log: transcripts, logger }),
  );
  const hub = new Hub({ layer, logger });
  const log = new SqliteSessionLog({ database, publish: (envelope) => layer.publish(envelope) });
  const app = new Hono();
  app.onError(createErrorHandler(logger, (path) => path));
  app.route("/", transcriptSocketRoutes({ hub, maxSockets }));
  const handlers = transcriptSocketHandlers(hub, idleS);
  const closed = Promise.withResolvers<number>();
  const sockets: Pick<Bun.ServerWebSocket, "getBufferedAmount">[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: app.fetch,
    websocket: {
      ...handlers,
      open(socket) {
        sockets.push(socket);
        void handlers.open?.(socket);
      },
      close(socket, code, reason) {
        void handlers.close?.(socket, code, reason);
        closed.resolve(code);
      },
    },
  });
  stack.defer(() => server.stop(true));
  stack.use(hub);
  const session = sessionOf();
  insertSession(database, session);
  const path = `/ws/transcript/${session.id}`;
  return {
    hub,
    log,
    logger,
    layer,
    session,
    path,
    port: Number(server.port),
    http: `http://127.0.0.1:${server.port}`,
    ws: `ws://127.0.0.1:${server.port}${path}`,
    /** The code of the first connection that ended: 1006 if it was cut off. */
    closed: closed.promise,
    /** Bytes that the newest client has not read, beside what the kernel holds. */
    waiting: () => sockets.at(-1)?.getBufferedAmount() ?? 0,
    end: () => log.end(session.id, "stopped"),
    publish: (text = "hello"): Envelope => log.append(session.id, transcriptEvent(text)),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
type Node = ReturnType<typeof openNode>;

/** A browser's WebSocket that remembers what came. */
class Client {
  readonly got: Envelope[] = [];
  readonly socket: WebSocket;
  readonly opened: Promise<unknown>;
  /** Resolves with the close code. */
  readonly closed: Promise<number>;
  #arrived = () => {};

  constructor(url: string, after?: number) {
    this.socket = new WebSocket(after === undefined ? url : `${url}?after=${after}`);
    this.opened = new Promise((resolve) => this.socket.addEventListener("open", resolve));
    this.closed = new Promise((resolve) => {
      this.socket.addEventListener("close", (event) => resolve(event.code));
    });
    this.socket.addEventListener("message", (event) => {
      this.got.push(envelope.parse(JSON.parse(String(event.data))));
      this.#arrived();
    });
  }

  get seqs(): number[] {
    return this.got.map(({ seq }) => seq);
  }

  async until(seq: number): Promise<void> {
    while ((this.got.at(-1)?.seq ?? 0) < seq) {
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
    }
  }

  async leave(): Promise<void> {
    this.socket.close();
    await this.closed;
  }
}

/** Reads to the end of the connection; answers the messages' seqs and the close frame's code. */
async function readFrames(socket: Socket, rest: Buffer) {
  const chunks = [rest];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  const ended = new Promise((resolve) => socket.once("close", resolve));
  socket.resume();
  await ended;
  const bytes = Buffer.concat(chunks);
  const seqs: number[] = [];
  let code: number | undefined;
  for (let at = 0; at < bytes.length; ) {
    const opcode = bytes.readUInt8(at) & 0x0f;
    let length = bytes.readUInt8(at + 1);
    at += 2;
    if (length === 126) length = bytes.readUInt16BE(at);
    else if (length === 127) length = Number(bytes.readBigUInt64BE(at));
    if (length > 65535) at += 8;
    else if (length > 125) at += 2;
    const payload = bytes.subarray(at, at + length);
    at += length;
    if (opcode === 1) seqs.push(envelope.parse(JSON.parse(payload.toString())).seq);
    if (opcode === 8) code = payload.readUInt16BE(0);
  }
  return { seqs, code };
}

describe("before the upgrade", () => {
  test("an unknown or malformed session is 404, a malformed after 400, no upgrade 400", async () => {
    await using node = openNode();
    node.publish();
    const status = async (path: string) => (await fetch(`${node.http}${path}`)).status;
    for (const id of ["x", "..%2f..", "%00", "1' or 1=1", "w".repeat(5000), Bun.randomUUIDv7()]) {
      expect(await status(`/ws/transcript/${encodeURIComponent(id)}`)).toBe(404);
    }
    for (const after of ["-1", "1.5", "x", "", "1e3", "9".repeat(16), "%00"]) {
      expect(await status(`${node.path}?after=${after}`)).toBe(400);
    }
    expect(await status(node.path)).toBe(400);
    const client = new Client(`${node.ws.slice(0, -36)}${Bun.randomUUIDv7()}`);
    expect(await client.closed).not.toBe(1000);
    expect(client.got).toEqual([]);
  });
});

test("a session that only Redis may know is 503 while Redis hangs, and says when to come back", async () => {
  await using redis = await startRedis();
  await using node = openNode({ redisUrl: redis.url });
  const path = `${node.http}/ws/transcript/${Bun.randomUUIDv7()}`;
  expect((await fetch(path)).status).toBe(404);
  redis.signal("SIGSTOP");
  const response = await fetch(path);
  expect([response.status, response.headers.get("Retry-After")]).toEqual([503, "5"]);
  node.publish();
  const client = new Client(node.ws);
  await client.until(1);
});

describe("clients", () => {
  test("two get the same; the one that comes back with after gets the rest", async () => {
    await using node = openNode();
    node.publish("one");
    const [one, other] = [new Client(node.ws), new Client(node.ws, 0)];
    await Promise.all([one.until(1), other.until(1)]);
    node.publish("two");
    await Promise.all([one.until(2), other.until(2)]);
    await one.leave();
    node.publish("three");
    const back = new Client(node.ws, 2);
    node.publish("four");
    await Promise.all([back.until(4), other.until(4)]);
    expect([one.seqs, back.seqs, other.seqs]).toEqual([[1, 2], [3, 4], upTo(4)]);
  });

  test("the end closes with 1000, now and later", async () => {
    await using node = openNode();
    node.publish();
    const client = new Client(node.ws);
    await client.until(1);
    node.log.end(node.session.id, "stopped");
    expect(await client.closed).toBe(1000);
    expect(client.seqs).toEqual([1, 2]);
    const late = new Client(node.ws);
    expect(await late.closed).toBe(1000);
    expect(late.seqs).toEqual([1, 2]);
    const nothingNew = new Client(node.ws, 2);
    expect(await nothingNew.closed).toBe(1000);
    expect(nothingNew.seqs).toEqual([]);
  });

  test("a shutdown closes with 1001", async () => {
    let client: Client;
    {
      await using node = openNode();
      node.publish();
      client = new Client(node.ws);
      await client.until(1);
    }
    expect(await client.closed).toBe(1001);
  });

  test("text that people said arrives as it was", async () => {
    await using node = openNode();
    const texts = [
      "<script>alert(1)</script>",
      "\u0000\u001b\u202e",
      "\ud83d\ude00",
      "w".repeat(1e6),
    ];
    for (const text of texts) node.publish(text);
    const client = new Client(node.ws, 0);
    await client.until(texts.length);
    expect(client.got.map((got) => got.type === "transcript" && got.data.text)).toEqual(texts);
  });
});

/** Reproducible pseudo-random whole numbers below `max`. */
function dice(seed: number) {
  let state = seed;
  return (max: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * max);
  };
}

/** Connects, reads some, and drops the connection, again and again, until it has seen `last`. */
async function restlessClient(url: string, last: number, roll: (max: number) => number) {
  const seen: number[] = [];
  let connections = 0;
  while ((seen.at(-1) ?? 0) < last) {
    const client = new Client(url, seen.at(-1) ?? 0);
    connections += 1;
    const target = Math.min(last, (seen.at(-1) ?? 0) + 1 + roll(last / 8));
    if (roll(6) === 0) await client.opened;
    // One that was too slow, which the storm may cause, is closed and comes back too.
    else await Promise.race([client.until(target), client.closed]);
    client.socket.close();
    await client.closed;
    seen.push(...client.seqs);
  }
  return { seen, connections };
}

async function storm(node: Node, last: number, roll: (max: number) => number): Promise<void> {
  for (let seq = 2; seq <= last; ) {
    for (let burst = 1 + roll(20); burst > 0 && seq <= last; burst--, seq++) {
      node.publish(`${seq} ${"x".repeat(roll(300))}`);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe("in a storm of events, clients that come and go miss nothing and get nothing twice", () => {
  for (const seed of [1, 2, 3]) {
    test(`on the session's own node (seed ${seed})`, async () => {
      await using node = openNode();
      const last = 3000;
      node.publish("first");
      const clients = upTo(5).map((n) => restlessClient(node.ws, last, dice(seed * 100 + n)));
      await storm(node, last, dice(seed));
      for (const { seen, connections } of await Promise.all(clients)) {
        expect(seen).toEqual(upTo(last));
        expect(connections).toBeGreaterThan(2);
      }
      expect(node.hub.connectionCount).toBe(0);
    });
  }

  test("on another node, through Redis", async () => {
    await using redis = await startRedis();
    await using here = openNode({ redisUrl: redis.url });
    await using there = openNode({ redisUrl: redis.url });
    const last = 3000;
    here.publish("first");
    const ws = `ws://127.0.0.1:${there.port}${here.path}`;
    await eventually("the other node knows it", () => there.hub.has(here.session.id), Boolean);
    const clients = upTo(4).map((n) => restlessClient(ws, last, dice(n)));
    await storm(here, last, dice(4));
    for (const { seen } of await Promise.all(clients)) expect(seen).toEqual(upTo(last));
    const patient = new Client(ws);
    await patient.until(last);
    here.log.end(here.session.id, "stopped");
    expect(await patient.closed).toBe(1000);
  });
});

test("more WebSockets than allowed are refused with when to come back", async () => {
  await using node = openNode({ maxSockets: 1 });
  node.publish();
  const first = new Client(node.ws);
  await first.until(1);
  const headers = { Upgrade: "websocket", Connection: "Upgrade" };
  const second = await fetch(`${node.http}${node.path}`, { headers });
  expect([second.status, second.headers.get("Retry-After")]).toEqual([429, "60"]);
  await first.leave();
  const next = new Client(node.ws);
  await next.until(1);
});

/** Publishes until so many bytes wait for a client, beside what the kernel takes, or it is closed. */
async function overfill(node: Node, bytes = Infinity): Promise<void> {
  while (node.hub.connectionCount > 0 && node.waiting() < bytes) {
    node.publish("x".repeat(100_000));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Opens a client that reads nothing. */
async function silent(node: Node, query = "") {
  const client = await openRawSocket(node.port, `${node.path}${query}`);
  while (node.hub.connectionCount === 0) await new Promise((resolve) => setImmediate(resolve));
  return client;
}

describe("clients that do not read", () => {
  test("one that never reads is cut off after it was too slow", async () => {
    await using node = openNode();
    node.publish();
    await silent(node);
    await overfill(node);
    expect(await node.closed).toBe(1006);
  });

  test("one that never reads is cut off when its session ends", async () => {
    await using node = openNode();
    node.publish();
    await silent(node);
    await overfill(node, 500_000);
    node.end();
    expect(node.hub.connectionCount).toBe(0);
    expect(await node.closed).toBe(1006);
  });

  test("one that does not read a replay is cut off when it answers no ping", async () => {
    await using node = openNode({ idleS: 8 });
    for (let seq = 0; seq < 100; seq++) node.publish("x".repeat(100_000));
    await silent(node, "?after=0");
    expect(await node.closed).toBe(1006);
    expect(node.hub.connectionCount).toBe(0);
  });

  test("one that reads slowly gets all of it, and the reason why it is closed", async () => {
    await using node = openNode();
    node.publish();
    const { socket, rest } = await silent(node);
    await overfill(node);
    // Together longer than the time for the next part.
    socket.on("data", () => {
      socket.pause();
      setTimeout(() => socket.resume(), 150);
    });
    const { seqs, code } = await readFrames(socket, rest);
    expect(code).toBe(1013);
    expect(seqs).toEqual(upTo(seqs.length));
  });
});

describe("clients that misbehave", () => {
  test("one that does not read is closed with 1013; the others get all; it comes back", async () => {
    await using node = openNode();
    const text = "x".repeat(50_000);
    node.publish(text);
    const [slow, fast] = [await openRawSocket(node.port, node.path), new Client(node.ws)];
    await fast.until(1);
    let last = 1;
    // What the kernel takes is not the hub's: it may be several MiB.
    for (; node.hub.connectionCount === 2 && last < 1000; ) {
      node.publish(text);
      last += 1;
      await fast.until(last);
    }
    expect(node.hub.connectionCount).toBe(1);
    const { seqs, code } = await readFrames(slow.socket, slow.rest);
    expect(code).toBe(1013);
    expect(seqs).toEqual(upTo(seqs.length));
    expect(seqs.length).toBeLessThan(last);
    const back = new Client(node.ws, seqs.length);
    await back.until(last);
    expect([...seqs, ...back.seqs]).toEqual(upTo(last));
    expect(fast.seqs).toEqual(upTo(last));
    expect(node.logger.lines).toHaveLength(1);
  });

  test("what clients say is ignored, too much of it closes with 1009", async () => {
    await using node = openNode();
    node.publish();
    const [talker, shouter, other] = [
      new Client(node.ws),
      new Client(node.ws),
      new Client(node.ws),
    ];
    await Promise.all([talker.until(1), shouter.until(1), other.until(1)]);
    for (const text of ["", "{", "\u0000", '{"type":"session","seq":9}']) talker.socket.send(text);
    talker.socket.send(new Uint8Array([0xff, 0xfe]));
    shouter.socket.send("x".repeat(2_000_000));
    expect([1006, 1009]).toContain(await shouter.closed);
    node.publish();
    await Promise.all([talker.until(2), other.until(2)]);
    expect(node.hub.connectionCount).toBe(2);
  });

  test("broken frames end that connection and nothing else", async () => {
    await using node = openNode();
    node.publish();
    const other = new Client(node.ws);
    await other.until(1);
    const frames = [
      [0x81, 0x05, 1, 2, 3, 4, 5], // not masked
      [0xff, 0x80, 0, 0, 0, 0], // reserved bits and opcode
      [0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0], // 2^63 bytes
      [0x80, 0x80, 0, 0, 0, 0], // continuation of nothing
      [0x88, 0x81, 0, 0, 0, 0, 1], // close with half a code
      [0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28], // not UTF-8
    ];
    for (const frame of frames) {
      const { socket } = await openRawSocket(node.port, node.path);
      const closed = new Promise((resolve) => socket.once("close", resolve));
      socket.resume();
      socket.write(Buffer.from(frame));
      await closed;
    }
    node.publish();
    await other.until(2);
    const connections = async () => node.hub.connectionCount;
    await eventually("the hostile ones are gone", connections, (count) => count === 1);
  });
});
