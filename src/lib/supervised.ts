import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { Failure, messageOf } from "../errors.ts";
import { dismissGuard, guarded } from "./child-guard.ts";
import type { ChildLog } from "./child-output.ts";
import { withDeadline } from "./deadline.ts";
import { HeldPort } from "./held-port.ts";
import { PauseWatch } from "./pause-watch.ts";

export type Child = Bun.Subprocess<"pipe", "pipe", "pipe">;

/** How a child is started. */
export interface Command {
  argv: readonly string[];
  /**
   * The child's whole environment; nothing of Parley's own is added. Secrets go here, because other
   * users of the machine can read arguments.
   */
  env: Record<string, string>;
  /** The folder that it starts in; by default Parley's own. */
  cwd?: string;
}

export interface SupervisedOptions {
  /** What log lines call the child, such as "livekit-server". */
  name: string;
  /** The address that the child listens on, at a free port of it. */
  host: string;
  /**
   * Asked before each start, with the port that the child must listen on. An error is final, and
   * the signal aborts when the supervisor is disposed.
   */
  command(port: number, stopping: AbortSignal): Command | Promise<Command>;
  /**
   * The request and the exact answer by which a healthy child is recognised. One that has answered
   * is asked again every `intervalMs`, and killed after `failures` bad answers in a row.
   */
  health: { path: string; body: string; timeoutMs: number; intervalMs: number; failures: number };
  /** Whether the child does something now that may keep it from answering; such checks do not count. */
  isBusy?(): boolean;
  /** Reads what the child prints. It must report that the child listens. */
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
  /** Called when a child has exited and all its output was read; `killed`: by this supervisor. */
  onExit?(child: Child, killed: boolean): void;
  /** Called when another program has taken the port, which may be sent what was meant for a child. */
  onMoved?(): void;
}

export type SupervisedState = "idle" | "starting" | "running" | "restarting" | "failed" | "stopped";

const START_TIMEOUT_MS = 30_000;
const POLL_START_MS = 25;
const POLL_READY_MS = 100;
const MAX_BACKOFF_MS = 5000;
/** How long the output of a child that has exited is waited for. */
const OUTPUT_TIMEOUT_MS = 1000;
/** A check of health does not count when this process itself stood still for longer. */
const MAX_PAUSE_MS = 500;
/** A child that ran this long was stable: the next back-off is short again. */
const STABLE_AFTER_MS = 10_000;

/**
 * Keeps a server running as a child process, at one address.
 *
 * `start` spawns a child, waits for its first healthy answer, and starts it again with exponential
 * back-off whenever it exits or hangs, until disposal. It gives up when the first `maxStarts`
 * children never answered; a later `start` tries again.
 *
 * Only a child that has said on its own output that it listens is spoken to. While none runs, the
 * supervisor holds the port. If another program still gets it, the next child has another port.
 */
export class SupervisedProcess implements AsyncDisposable {
  readonly #options: SupervisedOptions;
  readonly #stopping = new AbortController();
  readonly #port: HeldPort;
  #state: SupervisedState = "idle";
  #restarts = 0;
  #running: Promise<void> | undefined;
  #child: Child | undefined;
  /** Whether this supervisor killed the current child. */
  #killed = false;
  #childExit: Promise<void> = Promise.resolve();
  #answered = answer();
  #ready: Promise<void> | undefined;

  constructor(options: SupervisedOptions) {
    this.#options = options;
    this.#port = new HeldPort(options.host);
  }

  /** The same for every child, as long as no other program takes it. */
  get port(): number {
    return this.#port.number;
  }

  /** How many children were started in place of one that had ended. */
  get restarts(): number {
    return this.#restarts;
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

  /**
   * Resolves when a child answers a request that is sent now; starts the first one. Rejects as
   * `answered` does.
   */
  ready(): Promise<void> {
    this.#ready ??= this.#untilReady().finally(() => {
      this.#ready = undefined;
    });
    return this.#ready;
  }

  async #untilReady(): Promise<void> {
    for (;;) {
      this.start();
      await this.answered;
      if (await this.healthy()) return;
      await delay(POLL_READY_MS, undefined, { signal: this.stopping }).catch(() => {});
    }
  }

  /** Whether the child answers now. */
  async healthy(): Promise<boolean> {
    const { host, health, output } = this.#options;
    // Whatever answers at the port before the child listens is another program.
    if (this.#child === undefined || !output.listening) return false;
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

  /** Kills the child, which is started again. @param why what is wrong with it */
  kill(why: string): void {
    if (this.#child === undefined) return;
    this.#options.output.note(why);
    this.#killed = true;
    this.#child.kill("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    this.#port[Symbol.dispose]();
    if (this.#state !== "failed") this.#state = "stopped";
    this.#answered.reject(new Failure("unavailable", this.#options.stoppedMessage));
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
        this.#restarts++;
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
    this.#port.take();
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
      this.#childExited(child, answered);
      await withDeadline(printed, OUTPUT_TIMEOUT_MS, "the output").catch(() => {});
      return answered;
    } finally {
      exited.abort();
      this.stopping.removeEventListener("abort", stop);
      onExit?.(child, this.#killed);
      exit.resolve();
    }
  }

  /** Takes the port back at once, and lets callers wait for the next child. */
  #childExited(child: Child, answered: boolean): void {
    const { name, host, logger, onMoved } = this.#options;
    this.#child = undefined;
    if (answered) this.#answered = answer();
    dismissGuard(child);
    const { port } = this;
    if (this.stopping.aborted || this.#port.take()) return;
    logger.warn(
      { host, port, newPort: this.port },
      `another program took the port of ${name}, which gets a new one`,
    );
    onMoved?.();
  }

  async #spawn(): Promise<Child> {
    const { argv, env, cwd } = await this.#options.command(this.port, this.stopping);
    this.stopping.throwIfAborted();
    this.#options.output.reset();
    this.#killed = false;
    this.#port.release();
    return Bun.spawn(guarded(argv), {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
      env,
      cwd,
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
        this.kill(`it did not answer within ${startTimeoutMs / 1000} s`);
        return false;
      }
      await Promise.race([child.exited, Bun.sleep(POLL_START_MS)]);
    }
    return false;
  }

  /** Kills a child that runs and has stopped answering. */
  async #pollHealth(child: Child, exited: AbortSignal): Promise<void> {
    const { health, isBusy } = this.#options;
    for (let failures = 0; failures < health.failures; ) {
      await delay(health.intervalMs, undefined, { signal: exited, ref: false }).catch(() => {});
      using watch = new PauseWatch();
      const isHealthy = await this.healthy();
      if (exited.aborted) return;
      if (isHealthy || isBusy?.()) failures = 0;
      else if (watch.longestMs < MAX_PAUSE_MS) failures++;
    }
    if (child === this.#child) this.kill("it stopped answering");
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
