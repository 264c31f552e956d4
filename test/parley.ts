import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { z } from "zod";
import { type Envelope, envelope } from "../src/domain/transcript.ts";
import { testBinary } from "./livekit-binary.ts";

const ROOT = join(import.meta.dir, "..");
const START_MS = 60_000;
/** Parley as it lies here, whatever `PARLEY_COMMAND` says: with the engine for models. */
export const SOURCE = [process.execPath, join(ROOT, "src/main.ts")];

export interface ParleyOptions {
  /** Variables beside the few that a process needs. */
  env?: Record<string, string>;
  /** Kept when Parley ends; else a temporary folder that goes with it. */
  dataDir?: string;
  /** What is run; by default the executable that `PARLEY_COMMAND` names, or the source under Bun. */
  command?: string[];
  /** `command` is an executable that has to bring everything with it. */
  alone?: boolean;
}

/** One line of Parley's log. */
export type LogLine = Record<string, unknown> & { msg?: string };

/** A log that grows, and lets a test wait for a line. */
class LogBook {
  readonly lines: LogLine[] = [];
  #waiters: { found: (line: LogLine) => boolean; resolve: (line: LogLine) => void }[] = [];

  add(line: LogLine): void {
    this.lines.push(line);
    const ready = this.#waiters.filter((waiter) => waiter.found(line));
    this.#waiters = this.#waiters.filter((waiter) => !ready.includes(waiter));
    for (const waiter of ready) waiter.resolve(line);
  }

  waitFor(found: (line: LogLine) => boolean): Promise<LogLine> {
    const known = this.lines.find(found);
    if (known) return Promise.resolve(known);
    const { promise, resolve } = Promise.withResolvers<LogLine>();
    this.#waiters.push({ found, resolve });
    return promise;
  }
}

/** A Parley that runs as its users run it: a process of its own, spoken to over HTTP. */
export class Parley implements AsyncDisposable {
  readonly url: string;
  readonly dataDir: string;
  readonly process: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #log: LogBook;
  readonly #removeData: () => Promise<void>;

  constructor(parts: {
    url: string;
    dataDir: string;
    log: LogBook;
    process: Bun.Subprocess<"ignore", "pipe", "pipe">;
    removeData: () => Promise<void>;
  }) {
    this.url = parts.url;
    this.dataDir = parts.dataDir;
    this.#log = parts.log;
    this.process = parts.process;
    this.#removeData = parts.removeData;
  }

  fetch(path: string, init?: RequestInit): Promise<Response> {
    return fetch(`${this.url}${path}`, init);
  }

  post(path: string, body: unknown): Promise<Response> {
    return this.fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  }

  /** @throws Error when the answer is not JSON of this schema */
  async json<T extends z.ZodType>(path: string, schema: T): Promise<z.infer<T>> {
    const response = await this.fetch(path);
    return schema.parse(await response.json());
  }

  /** Starts a session and answers its id. */
  async startSession(body: Record<string, unknown>): Promise<string> {
    const response = await this.post("/session", body);
    const text = await response.text();
    if (response.status !== 201) throw new Error(`POST /session: ${response.status} ${text}`);
    return z.object({ session_id: z.string() }).parse(JSON.parse(text)).session_id;
  }

  /** Listens to a session's transcript. */
  listen(sessionId: string, after?: number): Promise<Listener> {
    const query = after === undefined ? "" : `?after=${after}`;
    return Listener.open(`${this.url.replace(/^http/, "ws")}/ws/transcript/${sessionId}${query}`);
  }

  /** The lines Parley has logged so far. */
  get log(): readonly LogLine[] {
    return this.#log.lines;
  }

  /** The first line of the log, past or future, for which `found` is true. */
  logged(found: (line: LogLine) => boolean): Promise<LogLine> {
    return this.#log.waitFor(found);
  }

  /** Opens the page, as a person does, and waits until a conversation can start. */
  async ready(): Promise<void> {
    await this.fetch("/");
    await this.logged(({ msg }) => msg === "ready for conversations");
  }

  /** The longest that Parley took to answer until `end` resolves, in ms. */
  async longestStall(end: Promise<unknown>, everyMs: number): Promise<number> {
    let isOver = false;
    const ended = end.then(() => {
      isOver = true;
    });
    let longest = 0;
    while (!isOver) {
      const asked = performance.now();
      await this.fetch("/health");
      longest = Math.max(longest, performance.now() - asked);
      await Bun.sleep(everyMs);
    }
    await ended;
    return longest;
  }

  /** Asks Parley to stop, as Ctrl-C does, and answers its exit code. */
  async stop(signal: NodeJS.Signals = "SIGINT"): Promise<number> {
    this.process.kill(signal);
    return this.process.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.process.exitCode === null) await this.stop();
    await this.#removeData();
  }
}

/** A WebSocket client that keeps what it gets and lets a test wait for it. */
export class Listener implements AsyncDisposable {
  readonly events: Envelope[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly #socket: WebSocket;
  #waiters: { found: (event: Envelope) => boolean; resolve: (event: Envelope) => void }[] = [];

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    const closed = Promise.withResolvers<{ code: number; reason: string }>();
    this.closed = closed.promise;
    socket.onmessage = ({ data }) => {
      const event: Envelope = envelope.parse(JSON.parse(String(data)));
      this.events.push(event);
      const ready = this.#waiters.filter((waiter) => waiter.found(event));
      this.#waiters = this.#waiters.filter((waiter) => !ready.includes(waiter));
      for (const waiter of ready) waiter.resolve(event);
    };
    socket.onclose = ({ code, reason }) => closed.resolve({ code, reason });
  }

  static async open(url: string): Promise<Listener> {
    const socket = new WebSocket(url);
    const listener = new Listener(socket);
    const opened = Promise.withResolvers<void>();
    socket.onopen = () => opened.resolve();
    socket.onerror = () => opened.reject(new Error(`the WebSocket ${url} did not open`));
    await opened.promise;
    return listener;
  }

  /** Whether more may come. */
  get isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  /** The first event, past or future, for which `found` is true. */
  waitFor(found: (event: Envelope) => boolean): Promise<Envelope> {
    const known = this.events.find(found);
    if (known) return Promise.resolve(known);
    const { promise, resolve } = Promise.withResolvers<Envelope>();
    this.#waiters.push({ found, resolve });
    return promise;
  }

  /** Final texts so far, in order. */
  finals(role: "user" | "agent"): string[] {
    return this.events.flatMap((event) =>
      event.type === "transcript" && event.data.role === role && event.data.final
        ? [event.data.text]
        : [],
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await this.closed;
  }
}

/** For an executable, which may not lean on what this machine has; starts share what it unpacks. */
function nothing(executable: string): Record<string, string> {
  return { PATH: "/nonexistent", HOME: join(dirname(executable), "home") };
}

async function withToolchain(): Promise<Record<string, string>> {
  return {
    PATH: Bun.env["PATH"] ?? "",
    HOME: Bun.env["HOME"] ?? "",
    LIVEKIT_SERVER_BIN: await testBinary(),
  };
}

/**
 * Starts Parley and waits until it listens.
 * @throws Error with what Parley printed, when it ends before
 */
export async function startParley(options: ParleyOptions = {}): Promise<Parley> {
  const own = options.dataDir === undefined;
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), "parley-test-")));
  const executable = options.command ? undefined : Bun.env["PARLEY_COMMAND"] || undefined;
  const alone = options.alone === true || executable !== undefined;
  if (alone) await mkdir(dataDir, { recursive: true });
  const command = options.command ?? (executable ? [executable] : SOURCE);
  const child = Bun.spawn(command, {
    cwd: alone ? dataDir : ROOT,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: {
      LOG_FORMAT: "json",
      PORT: "0",
      DATA_DIR: dataDir,
      ...(alone ? nothing(String(command[0])) : await withToolchain()),
      ...options.env,
    },
  });
  const log = new LogBook();
  const listening = log.waitFor((line) => line.msg === "listening");
  const errors = new Response(child.stderr).text();
  void follow(child.stdout, (line) => log.add(line));
  const timer = setTimeout(() => child.kill("SIGKILL"), START_MS);
  const died = child.exited.then(async (code) => {
    throw new Error(`Parley ended with ${code}: ${await errors}${JSON.stringify(log.lines)}`);
  });
  died.catch(() => {});
  const { url } = await Promise.race([listening, died]);
  clearTimeout(timer);
  const removeData = async () => {
    if (own) await rm(dataDir, { recursive: true, force: true });
  };
  return new Parley({ url: String(url), dataDir, log, process: child, removeData });
}

async function follow(stream: ReadableStream<Uint8Array>, onLine: (line: LogLine) => void) {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line.startsWith("{")) onLine(JSON.parse(line) as LogLine);
    }
  }
}

/** The variables that point every stage at one OpenAI-compatible server. */
export function providerEnv(url: string, realtime: boolean): Record<string, string> {
  return {
    OPENAI_API_KEY: "test-key",
    OPENAI_BASE_URL: url,
    STT_REALTIME: String(realtime),
  };
}
