import { afterEach, expect, test } from "bun:test";
import type { Server, ServerWebSocket } from "bun";
import { TranscriptSocket } from "./transcript-socket.ts";

type Socket = ServerWebSocket<{ after: number }>;

/** A transcript server. `onOpen` decides what each connection does. */
class FakeServer {
  readonly afters: number[] = [];
  /** The query of each connection. */
  readonly queries: string[] = [];
  refuse = false;
  readonly #server: Server<{ after: number }>;

  constructor(onOpen: (socket: Socket, connection: number) => void) {
    this.#server = Bun.serve<{ after: number }>({
      port: 0,
      fetch: (request, server) => {
        const after = Number(new URL(request.url).searchParams.get("after") ?? 0);
        this.afters.push(after);
        this.queries.push(new URL(request.url).search);
        if (this.refuse) return new Response(null, { status: 404 });
        return server.upgrade(request, { data: { after } })
          ? undefined
          : new Response(null, { status: 400 });
      },
      websocket: { open: (socket) => onOpen(socket, this.afters.length), message: () => {} },
    });
  }

  get url(): string {
    return `ws://127.0.0.1:${this.#server.port}/ws/transcript/s`;
  }

  stop(): void {
    void this.#server.stop(true);
  }
}

function message(seq: number): string {
  const data = { state: "listening" };
  return JSON.stringify({ type: "agent_state", seq, session_id: "s", at: "2026-01-01", data });
}

interface Events {
  seqs: number[];
  retries: number[];
  opens: number;
  ends: number;
}

const resources: { close(): void }[] = [];
afterEach(() => {
  for (const resource of resources.splice(0)) resource.close();
});

function connect(server: FakeServer): Events {
  const events: Events = { seqs: [], retries: [], opens: 0, ends: 0 };
  const socket = new TranscriptSocket({
    url: server.url,
    onEnvelope: (envelope) => events.seqs.push(envelope.seq),
    onOpen: () => {
      events.opens += 1;
    },
    onRetry: (retry) => events.retries.push(retry),
    onEnd: () => {
      events.ends += 1;
    },
    backOff: { first: 10, longest: 40 },
    random: () => 0.5,
  });
  resources.push(socket, { close: () => server.stop() });
  return events;
}

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 300 && !condition(); tries += 1) await Bun.sleep(10);
  expect(condition()).toBe(true);
}

test.each([1013, 1011, 4000])(
  "after a close with %d it reconnects with `after` and repeats nothing",
  async (code) => {
    const server = new FakeServer((socket, connection) => {
      if (connection === 1) {
        for (const seq of [1, 2, 3]) socket.send(message(seq));
        socket.close(code);
      } else for (const seq of [4, 4, 3, 5]) socket.send(message(seq));
    });
    const events = connect(server);
    await until(() => events.seqs.length === 5);
    expect(events.seqs).toEqual([1, 2, 3, 4, 5]);
    expect(server.afters).toEqual([0, 3]);
    expect(events).toMatchObject({ opens: 2, retries: [1], ends: 0 });
  },
);

test("a server that has lost the newest events continues with a snapshot", async () => {
  const server = new FakeServer((socket, connection) => {
    if (connection === 1) for (const seq of [1, 90, 100]) socket.send(message(seq));
    if (connection === 2) for (const seq of [1, 90, 91]) socket.send(message(seq));
    if (connection < 3) socket.close(1001);
  });
  const events = connect(server);
  await until(() => events.opens === 3);
  expect(events.seqs).toEqual([1, 90, 100, 1, 90, 91]);
  expect(server.afters).toEqual([0, 100, 91]);
});

test("it reconnects after an abnormal close too", async () => {
  const server = new FakeServer((socket, connection) => {
    socket.send(message(connection));
    if (connection === 1) socket.terminate();
  });
  const events = connect(server);
  await until(() => events.opens === 2);
  expect(events.ends).toBe(0);
});

test("a close with 1000 is final", async () => {
  const server = new FakeServer((socket) => {
    socket.send(message(1));
    socket.close(1000);
  });
  const events = connect(server);
  await until(() => events.ends === 1);
  await Bun.sleep(60);
  expect(server.afters).toEqual([0]);
  expect(events.retries).toEqual([]);
});

test("a refused connection is retried until it is accepted", async () => {
  const server = new FakeServer((socket) => socket.send(message(1)));
  server.refuse = true;
  const events = connect(server);
  await until(() => events.retries.length >= 3);
  server.refuse = false;
  await until(() => events.seqs.length === 1);
  expect(events.retries.slice(0, 3)).toEqual([1, 2, 3]);
});

test("messages that are not envelopes are ignored", async () => {
  const server = new FakeServer((socket) => {
    socket.send("{");
    socket.send('{"type":"agent_state","seq":1}');
    socket.send(new Uint8Array([1, 2]));
    socket.send(message(1));
  });
  const events = connect(server);
  await until(() => events.seqs.length === 1);
});

test("no callback is called after `close`", async () => {
  const server = new FakeServer((socket) => socket.send(message(1)));
  const events = connect(server);
  resources[0]?.close();
  await Bun.sleep(60);
  expect(events).toEqual({ seqs: [], retries: [], opens: 0, ends: 0 });
});

test("a new session is replayed from its first event, another one as a snapshot", async () => {
  const server = new FakeServer((socket) => socket.send(message(1)));
  for (const fromStart of [true, false]) {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    const socket = new TranscriptSocket({
      url: server.url,
      fromStart,
      onEnvelope: resolve,
      onOpen: () => {},
      onRetry: () => {},
      onEnd: () => {},
    });
    await promise;
    socket.close();
  }
  expect(server.queries).toEqual(["?after=0", ""]);
  server.stop();
});
