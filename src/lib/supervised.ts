import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { Failure, messageOf } from "../errors.ts";
import type { ChildLog } from "./child-output.ts";
import { withDeadline } from "./deadline.ts";

export type Child = Bun.Subprocess<"pipe", "pipe", "pipe">;

/** How a child is started. */
export interface Command {
  argv: readonly string[];
  /**
   * The child's whole environment; nothing of Parley's own is added. Secrets go here, because other
   * users of the machine can read arguments.
   */
  env: Record<string, string>;
}

export interface SupervisedOptions {
  /** What log lines call the child, such as "livekit-server". */
  name: string;
  /** The address that the child listens on; a free port of it is chosen once. */
  host: string;
  /**
   * Asked before each start, with the port that the child must listen on. An error is final, and
   * the signal aborts when the supervisor is disposed.
   */
  command(port: number, stopping: AbortSignal): Command | Promise<Command>;
  /** The request and the exact answer by which a healthy child is recognised. */
  health: { path: string; body: string; timeoutMs: number };
  /** Further checks after the first answer; without them only the child's exit is noticed. */
  polling?: { intervalMs: number; failures: number };
  output: ChildLog;
  logger: Pick<Logger, "debug" | "warn" | "error">;
  /** How long a child may take until it answers. */
  startTimeoutMs?: number | undefined;
  /** How many children may end before the first one that answers. */
  maxStarts: number;
  firstBackoffMs: number;
  /** Signals that end a child, each with its delay in ms. */
  stopSignals: readonly (readonly [signal: NodeJS.Signals, afterMs: number])[];
  /** The message of a `Failure` for a problem such as "stopped 3 times before it answered: why". */
  failureMessage(problem: string): string;
  /** The message for callers that still wait when the supervisor is disposed. */
  stoppedMessage: string;
  /** Called when a child answers, before the waiting callers go on. */
  onAnswer?(): void;
  /** Called when a child has exited and all its output was read. */
  onExit?(child: Child): void;
}

export type SupervisedState = "idle" | "starting" | "running" | "restarting" | "failed" | "stopped";

const START_TIMEOUT_MS = 30_000;
const POLL_START_MS = 25;
const MAX_BACKOFF_MS = 5000;
/** A child that ran this long was stable: the next back-off is short again. */
const STABLE_AFTER_MS = 10_000;

/**
 * Keeps a server running as a child process, at one address.
 *
 * `start` spawns a child, waits for its first healthy answer, and starts it again with exponential
 * back-off whenever it exits, until disposal. It gives up when the first `maxStarts` children never
 * answered; a later `start` tries again.
 */
export class SupervisedProcess implements AsyncDisposable {
  /** The same for every child. */
  readonly port: number;
  readonly #options: SupervisedOptions;
  readonly #stopping = new AbortController();
  /** Keeps other programs off the port until the first child takes it. */
  #reservation: Disposable | undefined;
  #state: SupervisedState = "idle";
  #running: Promise<void> | undefined;
  #child: Child | undefined;
  #childExit: Promise<void> = Promise.resolve();
  #answered = answer();

  constructor(options: SupervisedOptions) {
    this.#options = options;
    const reserved = reservePort(options.host);
    this.#reservation = reserved;
    this.port = reserved.port;
  }

  get state(): SupervisedState {
    return this.#state;
  }

  /** The process that runs now. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Aborts when the supervisor is disposed. */
  get stopping(): AbortSignal {
    return this.#stopping.signal;
  }

  /**
   * Resolves when the current child answers, or the next one where none runs. Rejects with a
   * `Failure` when the start was given up or the supervisor was disposed.
   */
  get answered(): Promise<void> {
    return this.#answered.promise;
  }

  /** Starts the first child; does nothing while the supervisor runs or after its disposal. */
  start(): void {
    if (this.stopping.aborted) return;
    this.#running ??= this.#run();
  }

  /** Whether the child answers now. */
  async healthy(): Promise<boolean> {
    const { host, health } = this.#options;
    try {
      const response = await fetch(`http://${host}:${this.port}${health.path}`, {
        signal: AbortSignal.timeout(health.timeoutMs),
        // A pooled connection may belong to a process that has exited.
        keepalive: false,
      });
      return response.ok && (await response.text()) === health.body;
    } catch {
      return false;
    }
  }

  /** Waits until the current child has exited and `onExit` was called, but no longer than `ms`. */
  async exited(ms: number): Promise<void> {
    await withDeadline(this.#childExit, ms, "the exit").catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    this.#releasePort();
    if (this.#state !== "failed") this.#state = "stopped";
    this.#answered.reject(new Failure("unavailable", this.#options.stoppedMessage));
  }

  #releasePort(): void {
    this.#reservation?.[Symbol.dispose]();
    this.#reservation = undefined;
  }

  /** Runs child after child until disposal, or until the first ones never answered. */
  async #run(): Promise<void> {
    const { name, logger, output, maxStarts, firstBackoffMs } = this.#options;
    let backoffMs = firstBackoffMs;
    let everAnswered = false;
    this.#state = "starting";
    try {
      for (let starts = 1; ; starts++) {
        const startedAt = performance.now();
        everAnswered = (await this.#runOnce()) || everAnswered;
        if (this.stopping.aborted) return;
        const { lastErrors } = output;
        if (!everAnswered && starts >= maxStarts) {
          const why = lastErrors || "it printed no error";
          throw this.#failure(`stopped ${maxStarts} times before it answered: ${why}`);
        }
        if (performance.now() - startedAt > STABLE_AFTER_MS) backoffMs = firstBackoffMs;
        this.#state = everAnswered ? "restarting" : "starting";
        logger.warn({ restartInMs: backoffMs, lastErrors }, `${name} stopped; starting it again`);
        await delay(backoffMs, undefined, { signal: this.stopping });
        backoffMs = Math.min(backoffMs * 2, MAX_BACKOFF_MS);
      }
    } catch (error) {
      if (!this.stopping.aborted) this.#giveUp(error);
    }
  }

  #giveUp(error: unknown): void {
    const failure =
      error instanceof Failure
        ? error
        : this.#failure(`could not be started: ${messageOf(error)}`, error);
    this.#options.logger.error({ err: failure }, failure.message);
    this.#state = "failed";
    // Before the callers know: one of them may start the next attempt.
    this.#running = undefined;
    const { reject } = this.#answered;
    this.#answered = answer();
    reject(failure);
  }

  #failure(problem: string, cause?: unknown): Failure {
    return new Failure("unavailable", this.#options.failureMessage(problem), { cause });
  }

  /** Runs one child until it exits. @returns whether it ever answered */
  async #runOnce(): Promise<boolean> {
    const { name, logger, output, stopSignals, onAnswer, onExit } = this.#options;
    const child = await this.#spawn();
    const exit = Promise.withResolvers<void>();
    this.#child = child;
    this.#childExit = exit.promise;
    const stop = () => void stopChild(child, stopSignals);
    this.stopping.addEventListener("abort", stop);
    const printed = Promise.all([output.follow(child.stdout), output.follow(child.stderr)]);
    const exited = new AbortController();
    let answered = false;
    try {
      answered = await this.#awaitAnswer(child);
      if (answered) {
        this.#state = "running";
        logger.debug({ pid: child.pid, port: this.port }, `${name} answers`);
        onAnswer?.();
        this.#answered.resolve();
        void this.#pollHealth(child, exited.signal);
      }
      await child.exited;
      await printed;
      return answered;
    } finally {
      exited.abort();
      this.stopping.removeEventListener("abort", stop);
      this.#child = undefined;
      if (answered) this.#answered = answer();
      onExit?.(child);
      exit.resolve();
    }
  }

  async #spawn(): Promise<Child> {
    const { argv, env } = await this.#options.command(this.port, this.stopping);
    this.stopping.throwIfAborted();
    this.#options.output.reset();
    this.#releasePort();
    return Bun.spawn([...argv], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
      env,
      // Ctrl-C in a terminal signals the whole group, but Parley decides when the child stops.
      detached: true,
    });
  }

  async #awaitAnswer(child: Child): Promise<boolean> {
    const { startTimeoutMs = START_TIMEOUT_MS } = this.#options;
    const deadline = performance.now() + startTimeoutMs;
    while (child.exitCode === null && child.signalCode === null) {
      if (await this.healthy()) return true;
      if (performance.now() > deadline) {
        this.#options.output.note(`it did not answer within ${startTimeoutMs / 1000} s`);
        child.kill("SIGKILL");
        return false;
      }
      await Promise.race([child.exited, Bun.sleep(POLL_START_MS)]);
    }
    return false;
  }

  /** Kills a child that runs and has stopped answering. */
  async #pollHealth(child: Child, exited: AbortSignal): Promise<void> {
    const { polling, output } = this.#options;
    if (!polling) return;
    for (let failures = 0; failures < polling.failures; ) {
      await delay(polling.intervalMs, undefined, { signal: exited, ref: false }).catch(() => {});
      if (exited.aborted) return;
      failures = (await this.healthy()) ? 0 : failures + 1;
    }
    output.note("it stopped answering");
    child.kill("SIGKILL");
  }
}

/** A promise that a caller may wait for; that none does is no unhandled rejection. */
function answer(): PromiseWithResolvers<void> {
  const resolvers = Promise.withResolvers<void>();
  resolvers.promise.catch(() => {});
  return resolvers;
}

async function stopChild(child: Child, signals: SupervisedOptions["stopSignals"]): Promise<void> {
  const timers = signals.map(([signal, afterMs]) => setTimeout(() => child.kill(signal), afterMs));
  await child.exited;
  for (const timer of timers) clearTimeout(timer);
}

/** Takes a free TCP port and closes every connection to it until it is released. */
function reservePort(host: string): Disposable & { port: number } {
  const listener = Bun.listen({
    hostname: host,
    port: 0,
    socket: { open: (socket) => void socket.end(), data() {}, error() {} },
  });
  return { port: listener.port, [Symbol.dispose]: () => listener.stop(true) };
}
