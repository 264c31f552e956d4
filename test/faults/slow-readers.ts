import { readdirSync, readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { LiveKitChild } from "../e2e/livekit-child.ts";
import { eventually, within } from "../e2e/wait.ts";
import { type Parley, providerEnv, startParley } from "../parley.ts";
import { startStandIn } from "../stand-in/openai.ts";
import { Conversation, lostIn } from "./conversation.ts";
import type { Fault, Outcome } from "./fault.ts";

// A thousand clients listen to one conversation, and a hundred of them never read.

const READERS = 900;
const SILENT = 100;
/** Longer than what waits for a client, and what the kernel holds for it. */
const WORDS = 900;
const MOST_TURNS = 8;
/** Memory that an allocator may keep of what it once needed. */
const KEPT_MIB = 128;
const DESCRIPTORS = 10;

export const faults: Fault[] = [
  {
    what: `${READERS + SILENT} WebSocket clients, of which ${SILENT} never read`,
    deadlineMs: 240_000,
    run: crowd,
  },
];

async function crowd(): Promise<Outcome> {
  await using opening = new AsyncDisposableStack();
  const livekit = opening.use(new LiveKitChild());
  await livekit.start();
  const reply = Array.from({ length: WORDS }, (_, index) => `word${index}`).join(" ");
  const ai = opening.use(await startStandIn({ realtime: false, reply: () => reply }));
  const env = { ...providerEnv(ai.url, false), ...livekit.env };
  const parley = opening.use(await startParley({ env }));
  const conversation = opening.use(await Conversation.begin(parley));
  const before = await settled(parley);
  const silent: Socket[] = [];
  for (let each = 0; each < SILENT; each++)
    silent.push(await neverReading(parley, conversation.id));
  const readers: Reader[] = [];
  for (let each = 0; each < READERS; each++) readers.push(await Reader.of(parley, conversation.id));
  await clients(parley, READERS + SILENT + 1);

  let turns = 0;
  while ((await clientsOf(parley)) > READERS + 1 && turns < MOST_TURNS) {
    await conversation.turn(`Turn ${turns++}.`);
  }
  await clients(parley, READERS + 1);
  const dropped = performance.now();
  await holds(parley, "dropped clients are closed", (now) => {
    return now.descriptors <= before.descriptors + READERS + DESCRIPTORS;
  });
  const closedMs = performance.now() - dropped;
  const { now } = conversation;
  await within("every reader gets all", Promise.all(readers.map((reader) => reader.has(now))));
  const incomplete = readers.filter(({ gaps }) => gaps > 0).length;
  if (incomplete > 0) throw new Error(`${incomplete} readers have gaps`);
  const most = held(parley);
  for (const reader of readers) reader.close();
  for (const socket of silent) socket.destroy();
  await clients(parley, 1);
  const gone = performance.now();
  await holds(parley, "memory and descriptors come back", ({ mib, descriptors }) => {
    return mib < before.mib + KEPT_MIB && descriptors <= before.descriptors + DESCRIPTORS;
  });
  await conversation.turn("After all have left.");
  const backMs = performance.now() - gone;
  const seen =
    `the ${SILENT} are dropped in turn ${turns}, their descriptors are back after ` +
    `${(closedMs / 1000).toFixed(1)} s, ${READERS} readers get all of it; ` +
    `${before.mib}, ${most.mib}, then ${held(parley).mib} MiB`;
  return { seen, backMs, lost: await lostIn(conversation, parley) };
}

/** A client that counts, and keeps nothing. */
class Reader {
  gaps = 0;
  readonly #socket: WebSocket;
  #seq = 0;
  #wanted = Number.POSITIVE_INFINITY;
  readonly #complete = Promise.withResolvers<void>();

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      const text = String(data);
      const seq = Number.parseInt(text.slice(text.lastIndexOf('"seq":') + 6), 10);
      if (seq !== this.#seq + 1) this.gaps++;
      this.#seq = seq;
      if (seq >= this.#wanted) this.#complete.resolve();
    };
    socket.onclose = ({ code }) => this.#complete.reject(new Error(`a reader got ${code}`));
    this.#complete.promise.catch(() => {});
  }

  static async of(parley: Parley, id: string): Promise<Reader> {
    const url = `${parley.url.replace("http", "ws")}/ws/transcript/${id}?after=0`;
    const socket = new WebSocket(url);
    const reader = new Reader(socket);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    socket.onopen = () => resolve();
    socket.onerror = () => reject(new Error("a WebSocket did not open"));
    await promise;
    return reader;
  }

  /** Waits until an event has come. */
  async has(seq: number): Promise<void> {
    this.#wanted = seq;
    if (this.#seq < seq) await this.#complete.promise;
  }

  close(): void {
    this.#socket.close();
  }
}

/** A client that asks for a WebSocket, and reads nothing of what follows. */
async function neverReading(parley: Parley, id: string): Promise<Socket> {
  const { hostname, port, host } = new URL(parley.url);
  const socket = connect(Number(port), hostname);
  socket.on("error", () => socket.destroy());
  const upgraded = Promise.withResolvers<void>();
  socket.once("data", () => {
    socket.pause();
    upgraded.resolve();
  });
  socket.write(
    [
      `GET /ws/transcript/${id}?after=0 HTTP/1.1`,
      `Host: ${host}`,
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      `Sec-WebSocket-Key: ${Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("base64")}`,
      "\r\n",
    ].join("\r\n"),
  );
  await within("the upgrade", upgraded.promise);
  return socket;
}

interface Holdings {
  mib: number;
  descriptors: number;
}

function held({ process: { pid } }: Parley): Holdings {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const kib = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
  return { mib: Math.round(kib / 1024), descriptors: readdirSync(`/proc/${pid}/fd`).length };
}

/** What Parley holds once the connections of its start are over. */
async function settled(parley: Parley): Promise<Holdings> {
  await Bun.sleep(1000);
  return held(parley);
}

function holds(parley: Parley, what: string, fits: (held: Holdings) => boolean): Promise<Holdings> {
  return eventually(what, async () => held(parley), fits, 60_000);
}

async function clientsOf(parley: Parley): Promise<number> {
  const metrics = await (await parley.fetch("/metrics")).text();
  return Number(/^parley_websocket_clients (\d+)$/m.exec(metrics)?.[1]);
}

function clients(parley: Parley, count: number): Promise<number> {
  return eventually(
    `${count} clients`,
    () => clientsOf(parley),
    (now) => now === count,
    30_000,
  );
}
