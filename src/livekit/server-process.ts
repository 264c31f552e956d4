import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { Failure, messageOf } from "../errors.ts";
import { randomText } from "../lib/random-text.ts";
import { reservePort } from "../lib/reserve-port.ts";
import { serverConfig } from "./server-config.ts";
import { ServerLog } from "./server-log.ts";

export interface LiveKitServerOptions {
  /** Finds the executable; may take minutes the first time. The signal aborts on disposal. */
  binary: (signal: AbortSignal) => Promise<string>;
  logger: Logger;
  /** How long one server process may take until it answers. */
  startTimeoutMs?: number;
}

export type LiveKitServerState = "starting" | "running" | "restarting" | "failed" | "stopped";

/** A livekit-server that Parley runs for itself. */
export interface LiveKitServer extends AsyncDisposable {
  /** Known at once and the same over restarts, as are the keys. */
  readonly url: string;
  readonly apiKey: string;
  readonly apiSecret: string;
  readonly state: LiveKitServerState;
  /** Of the process that runs now. */
  readonly pid: number | undefined;
  /** Resolves when the server answers for the first time; rejects with a Failure if it cannot. */
  readonly ready: Promise<void>;
  /** Whether the server answers now. */
  healthy(): Promise<boolean>;
}

const HOST = "127.0.0.1";
const HEALTH_TIMEOUT_MS = 1000;
const HEALTH_INTERVAL_MS = 25;
const START_TIMEOUT_MS = 30_000;
const FIRST_BACKOFF_MS = 250;
const LONGEST_BACKOFF_MS = 5000;
/** A server that lived this long has started well: the next back-off is short again. */
const LIVED_MS = 10_000;
/** Starts that may fail before the first one that works. */
const START_ATTEMPTS = 5;
const FORCE_AFTER_MS = 300;
const KILL_AFTER_MS = 3000;

/**
 * The guard ties the server's life to Parley's: the pipe on its stdin closes when Parley ends in
 * whatever way, `kill -9` included, and then it kills the server. No handler inside Parley could,
 * and only Linux has an equivalent in the kernel. It works by a shell that leaves a watcher behind
 * and then becomes the server itself (`exec` keeps the process id, which is `$$` in the watcher
 * too): Parley's child is the server, and signals and exit codes need no forwarding. A line on the
 * pipe, instead of its end, tells the watcher that the server is gone and the id may be another's.
 */
const GUARD = `
exec 3<&0 </dev/null
(read -r line <&3 || kill -KILL $$) >/dev/null 2>&1 &
exec 3<&-
exec "$0"
`;
const SHELL = "/bin/sh";

/**
 * Starts an embedded livekit-server on loopback and keeps it running until it is disposed.
 *
 * Returns at once; the address and the keys can be handed out before the server answers.
 */
export function startLiveKitServer(options: LiveKitServerOptions): LiveKitServer {
  return new EmbeddedServer(options);
}

class EmbeddedServer implements LiveKitServer {
  readonly url: string;
  readonly apiKey = `parley-${randomText(6, "hex")}`;
  readonly apiSecret = randomText(32, "base64url");
  readonly ready: Promise<void>;
  state: LiveKitServerState = "starting";
  readonly #options: LiveKitServerOptions;
  readonly #port: number;
  readonly #log: ServerLog;
  readonly #stopping = new AbortController();
  readonly #finished: Promise<void>;
  readonly #firstAnswer = Promise.withResolvers<void>();
  /** Holds the port until the server takes it, so that nobody else gets it meanwhile. */
  #reservation: Disposable | undefined;
  #child: Bun.Subprocess<"pipe", "pipe", "pipe"> | undefined;

  constructor(options: LiveKitServerOptions) {
    this.#options = options;
    const reserved = reservePort(HOST);
    this.#reservation = reserved;
    this.#port = reserved.port;
    this.url = `ws://${HOST}:${reserved.port}`;
    this.#log = new ServerLog(options.logger, this.apiSecret);
    this.ready = this.#firstAnswer.promise;
    // Whoever waits gets the rejection; that nobody waits is no error of its own.
    this.ready.catch(() => {});
    this.#finished = this.#run();
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async healthy(): Promise<boolean> {
    return this.state === "running" && (await answers(this.#port));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#finished;
  }

  async #run(): Promise<void> {
    try {
      const binary = await this.#options.binary(this.#stopping.signal);
      await this.#keepRunning(binary);
    } catch (error) {
      if (!this.#stopping.signal.aborted) this.#fail(error);
    } finally {
      this.#reservation?.[Symbol.dispose]();
      if (this.state !== "failed") this.state = "stopped";
      this.#firstAnswer.reject(new Failure("unavailable", "LiveKit was stopped"));
    }
  }

  #fail(error: unknown): void {
    this.state = "failed";
    const failure =
      error instanceof Failure
        ? error
        : new Failure("unavailable", `LiveKit could not start: ${messageOf(error)}`, {
            cause: error,
          });
    this.#options.logger.error({ err: failure }, failure.message);
    this.#firstAnswer.reject(failure);
  }

  /** Runs server after server until disposal, or until the first ones all fail. */
  async #keepRunning(binary: string): Promise<void> {
    let backoff = FIRST_BACKOFF_MS;
    let everAnswered = false;
    for (let attempt = 1; !this.#stopping.signal.aborted; attempt++) {
      const startedAt = performance.now();
      everAnswered = (await this.#runOnce(binary)) || everAnswered;
      if (this.#stopping.signal.aborted) return;
      if (!everAnswered && attempt >= START_ATTEMPTS) throw this.#cannotStart(binary);
      if (performance.now() - startedAt > LIVED_MS) backoff = FIRST_BACKOFF_MS;
      this.state = everAnswered ? "restarting" : "starting";
      this.#options.logger.warn(
        { restartInMs: backoff, lastWords: this.#log.lastWords },
        "livekit-server stopped; starting it again",
      );
      await delay(backoff, undefined, { signal: this.#stopping.signal });
      backoff = Math.min(backoff * 2, LONGEST_BACKOFF_MS);
    }
  }

  #cannotStart(binary: string): Failure {
    const words = this.#log.lastWords || "it said nothing";
    return new Failure(
      "unavailable",
      `livekit-server (${binary}) stopped ${START_ATTEMPTS} times before it answered: ${words}. ` +
        "Set LIVEKIT_SERVER_BIN to a binary that runs here, or LIVEKIT_URL to a server that runs",
    );
  }

  /** Runs one server process to its end. @returns whether it ever answered */
  async #runOnce(binary: string): Promise<boolean> {
    const child = await this.#spawn(binary);
    this.#child = child;
    const stop = () => void stopChild(child);
    this.#stopping.signal.addEventListener("abort", stop);
    if (this.#stopping.signal.aborted) stop();
    const output = Promise.all([this.#log.follow(child.stdout), this.#log.follow(child.stderr)]);
    try {
      const answered = await this.#awaitAnswer(child);
      if (answered) {
        this.state = "running";
        this.#firstAnswer.resolve();
        this.#options.logger.debug({ url: this.url, pid: child.pid }, "livekit-server answers");
      }
      await child.exited;
      await output;
      return answered;
    } finally {
      this.#stopping.signal.removeEventListener("abort", stop);
      this.#child = undefined;
      dismissWatcher(child);
    }
  }

  async #spawn(binary: string) {
    const settings = {
      host: HOST,
      port: this.#port,
      // Chosen anew each time: nobody outside needs to know it before joining.
      udpPort: await freeUdpPort(),
      apiKey: this.apiKey,
      apiSecret: this.apiSecret,
      logLevel: this.#options.logger.isLevelEnabled("debug") ? "info" : "warn",
    } as const;
    this.#log.reset();
    this.#reservation?.[Symbol.dispose]();
    this.#reservation = undefined;
    return Bun.spawn(existsSync(SHELL) ? [SHELL, "-c", GUARD, binary] : [binary], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
      // By environment, which other users cannot read as they can an argument; and nothing else in
      // it: livekit-server takes NODE_IP, UDP_PORT and more from there, and needs no key of ours.
      env: { LIVEKIT_CONFIG: serverConfig(settings) },
      // Ctrl-C in a terminal goes to the whole group; the server's end is Parley's to order.
      detached: true,
    });
  }

  async #awaitAnswer(child: Bun.Subprocess): Promise<boolean> {
    const deadline = performance.now() + (this.#options.startTimeoutMs ?? START_TIMEOUT_MS);
    while (child.exitCode === null && child.signalCode === null) {
      if (await answers(this.#port)) return true;
      if (performance.now() > deadline) {
        this.#log.line("no answer within the time allowed for a start");
        child.kill("SIGKILL");
        return false;
      }
      await Promise.race([child.exited, Bun.sleep(HEALTH_INTERVAL_MS)]);
    }
    return false;
  }
}

/** Asks the server to stop, then insists, then kills it. */
async function stopChild(child: Bun.Subprocess): Promise<void> {
  const signals = [
    ["SIGTERM", 0],
    // The first makes it wait until all participants have left by themselves, the second does not.
    ["SIGTERM", FORCE_AFTER_MS],
    ["SIGKILL", KILL_AFTER_MS],
  ] as const;
  const timers = signals.map(([signal, after]) => setTimeout(() => child.kill(signal), after));
  await child.exited;
  for (const timer of timers) clearTimeout(timer);
}

/** Ends the guard's watcher of a server that is gone. */
function dismissWatcher(child: Bun.Subprocess<"pipe", "pipe", "pipe">): void {
  try {
    child.stdin.write("gone\n");
    void child.stdin.end();
  } catch {
    // Without a guard the pipe ended with the server.
  }
}

async function answers(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://${HOST}:${port}/`, {
      signal: AbortSignal.timeout(HEALTH_TIMEOUT_MS),
      // A pooled connection may belong to a process that is gone.
      keepalive: false,
    });
    return response.ok && (await response.text()) === "OK";
  } catch {
    return false;
  }
}

async function freeUdpPort(): Promise<number> {
  const socket = await Bun.udpSocket({ hostname: HOST, port: 0, socket: {} });
  try {
    return socket.port;
  } finally {
    socket.close();
  }
}
