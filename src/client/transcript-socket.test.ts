import { afterEach, expect, test } from "bun:test";
import type { Server, ServerWebSocket } from "bun";
import { TranscriptSocket } from "./transcript-socket.ts";

type Socket = ServerWebSocket<{ after: number }>;

/** A transcript server whose every connection is told what to do by `onOpen`. */
class FakeServer {
  readonly afters: number[] = [];
  /** The queries as they came. */
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

interface Seen {
  seqs: number[];
  retries: number[];
  opens: number;
  ends: number;
}

const open: { close(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

function connect(server: FakeServer): Seen {
  const seen: Seen = { seqs: [], retries: [], opens: 0, ends: 0 };
  const socket = new TranscriptSocket({
    url: server.url,
    onEnvelope: (envelope) => seen.seqs.push(envelope.seq),
    onOpen: () => {
      seen.opens += 1;
    },
    onRetry: (attempt) => seen.retries.push(attempt),
    onEnd: () => {
      seen.ends += 1;
    },
    backOff: { first: 10, longest: 40 },
    random: () => 0.5,
  });
  open.push(socket, { close: () => server.stop() });
  return seen;
}

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 300 && !condition(); tries += 1) await Bun.sleep(10);
  expect(condition()).toBe(true);
}

test.each([1013, 1011, 4000])(
  "a close with %d comes back with `after` and doubles nothing",
  async (code) => {
    const server = new FakeServer((socket, connection) => {
      if (connection === 1) {
        for (const seq of [1, 2, 3]) socket.send(message(seq));
        socket.close(code);
      } else for (const seq of [2, 3, 4]) socket.send(message(seq));
    });
    const seen = connect(server);
    await until(() => seen.seqs.length === 4);
    expect(seen.seqs).toEqual([1, 2, 3, 4]);
    expect(server.afters).toEqual([0, 3]);
    expect(seen).toMatchObject({ opens: 2, retries: [1], ends: 0 });
  },
);

test("an abnormal end of the connection comes back too", async () => {
  const server = new FakeServer((socket, connection) => {
    socket.send(message(connection));
    if (connection === 1) socket.terminate();
  });
  const seen = connect(server);
  await until(() => seen.opens === 2);
  expect(seen.ends).toBe(0);
});

test("a close with 1000 is the end", async () => {
  const server = new FakeServer((socket) => {
    socket.send(message(1));
    socket.close(1000);
  });
  const seen = connect(server);
  await until(() => seen.ends === 1);
  await Bun.sleep(60);
  expect(server.afters).toEqual([0]);
  expect(seen.retries).toEqual([]);
});

test("a refused connection is tried again, ever more patiently, until it is let in", async () => {
  const server = new FakeServer((socket) => socket.send(message(1)));
  server.refuse = true;
  const seen = connect(server);
  await until(() => seen.retries.length >= 3);
  server.refuse = false;
  await until(() => seen.seqs.length === 1);
  expect(seen.retries.slice(0, 3)).toEqual([1, 2, 3]);
});

test("messages that are no envelopes are passed over", async () => {
  const server = new FakeServer((socket) => {
    socket.send("{");
    socket.send('{"type":"agent_state","seq":1}');
    socket.send(new Uint8Array([1, 2]));
    socket.send(message(1));
  });
  const seen = connect(server);
  await until(() => seen.seqs.length === 1);
});

test("after `close` nothing is called any more", async () => {
  const server = new FakeServer((socket) => socket.send(message(1)));
  const seen = connect(server);
  open[0]?.close();
  await Bun.sleep(60);
  expect(seen).toEqual({ seqs: [], retries: [], opens: 0, ends: 0 });
});

test("a session that has just begun is told from its first event on, another in its final form", async () => {
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
