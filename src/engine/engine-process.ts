import { setTimeout as delay } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { Logger } from "pino";
import { z } from "zod";
import type { Engine, LocalModel } from "../domain/model.ts";
import { Failure, messageOf } from "../errors.ts";
import { randomText } from "../lib/random-text.ts";
import { reservePort } from "../lib/reserve-port.ts";
import { type EngineChild, spawnEngine, stopEngine } from "./engine-child.ts";
import { EngineLog } from "./engine-log.ts";
import { loadFailure } from "./load-failure.ts";

export interface EngineOptions {
  /** How this program is started as an engine, without the arguments of one; see `Program`. */
  command: readonly string[];
  /** What the child's environment is made from; secrets in it do not reach the child. */
  variables: Record<string, string | undefined>;
  models: readonly LocalModel[];
  logger: Logger;
  /** How long a child may take until it answers, in ms. */
  startTimeoutMs?: number;
}

/** An engine in a child process, and that process. */
export interface SupervisedEngine extends Engine {
  /** Of the process that runs now. */
  readonly pid: number | undefined;
}

const HOST = "127.0.0.1";
const START_TIMEOUT_MS = 30_000;
const START_ATTEMPTS = 3;
const FIRST_BACKOFF_MS = 100;
const LONGEST_BACKOFF_MS = 5000;
/** A child that lived this long has started well: the next back-off is short again. */
const LIVED_MS = 10_000;
const POLL_MS = 25;
/** How often a child is asked whether it is well, and how often in a row it may not answer. */
const HEALTH_INTERVAL_MS = 5000;
const HEALTH_TIMEOUT_MS = 5000;
const HEALTH_FAILURES = 4;
/** A model that ended this many processes as it was loaded is not loaded again. */
const FATAL_LOADS = 2;
/** How long a child whose connection broke may take to be gone. */
const GONE_AFTER_MS = 2000;
/**
 * An engine in a child of this program, so that inference never stands in the way of audio. The
 * child starts when it is first needed, is started again when it ends, and ends with this process,
 * however that ends: it watches its stdin.
 */
export function startEngine(options: EngineOptions): SupervisedEngine {
  return new EngineProcess(options);
}

class EngineProcess implements SupervisedEngine {
  readonly baseURL: string;
  readonly apiKey = randomText(24, "base64url");
  readonly #options: EngineOptions;
  readonly #port: number;
  readonly #log: EngineLog;
  readonly #stopping = new AbortController();
  /** Holds the port until a child takes it. */
  #reservation: Disposable | undefined;
  #models: readonly LocalModel[];
  /** How many processes each model ended as it was loaded, and what was the last one's end. */
  #fatal = new Map<string, { times: number; message: string }>();
  #running: Promise<void> | undefined;
  #child: EngineChild | undefined;
  /** Settles when a child answers, or none can be had. */
  #answers = Promise.withResolvers<void>();
  /** The models that the child knows of, told one list after the other. */
  #told: Promise<void> = Promise.resolve();

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#models = options.models;
    const reserved = reservePort(HOST);
    this.#reservation = reserved;
    this.#port = reserved.port;
    this.baseURL = `http://${HOST}:${reserved.port}/v1`;
    this.#log = new EngineLog(options.logger, this.apiKey);
    this.#answers.promise.catch(() => {});
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async ready(): Promise<void> {
    // A model may end the process as it loads; the next one says why.
    for (let attempt = 1; ; attempt++) {
      this.#running ??= this.#keepRunning();
      await this.#answers.promise;
      try {
        await this.#told;
        return await this.#ask("POST", "/warm-up");
      } catch (error) {
        if (error instanceof Failure || attempt > FATAL_LOADS) throw asFailure(error);
        await this.#childGone();
      }
    }
  }

  use(models: readonly LocalModel[]): void {
    // Whoever says the same again has perhaps mended the files.
    if (isDeepStrictEqual(models, this.#models) && this.#fatal.size === 0) return;
    this.#models = models;
    this.#fatal.clear();
    if (this.#child) this.#tell();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    this.#release();
    this.#answers.reject(new Failure("unavailable", "The engine was stopped"));
  }

  #release(): void {
    this.#reservation?.[Symbol.dispose]();
    this.#reservation = undefined;
  }

  /** Runs child after child until disposal, or until the first ones all fail. */
  async #keepRunning(): Promise<void> {
    let backoff = FIRST_BACKOFF_MS;
    let answered = false;
    try {
      for (let attempt = 1; !this.#stopping.signal.aborted; attempt++) {
        const startedAt = performance.now();
        answered = (await this.#runOnce()) || answered;
        if (this.#stopping.signal.aborted) return;
        if (!answered && attempt >= START_ATTEMPTS) return this.#giveUp();
        if (performance.now() - startedAt > LIVED_MS) backoff = FIRST_BACKOFF_MS;
        this.#options.logger.warn(
          { restartInMs: backoff, lastWords: this.#log.lastWords },
          "the engine stopped; starting it again",
        );
        await delay(backoff, undefined, { signal: this.#stopping.signal });
        backoff = Math.min(backoff * 2, LONGEST_BACKOFF_MS);
      }
    } catch (error) {
      if (!this.#stopping.signal.aborted) this.#options.logger.error({ err: error }, "the engine");
    }
  }

  /** The next who needs the engine tries again. */
  #giveUp(): void {
    const words = this.#log.lastWords || "it said nothing";
    const failure = new Failure(
      "unavailable",
      `The engine for this machine's models stopped ${START_ATTEMPTS} times before it answered: ` +
        `${words}. Use other servers for the stages that run here, or mend what it says.`,
    );
    this.#options.logger.error({ err: failure }, failure.message);
    this.#answers.reject(failure);
    this.#expectAnswer();
    this.#running = undefined;
  }

  /** Runs one child to its end. @returns whether it ever answered */
  async #runOnce(): Promise<boolean> {
    this.#log.reset();
    this.#release();
    const { command, variables } = this.#options;
    const key = this.apiKey;
    const child = spawnEngine({ command, variables, host: HOST, port: this.#port, key });
    this.#child = child;
    const stop = () => void stopEngine(child);
    this.#stopping.signal.addEventListener("abort", stop);
    if (this.#stopping.signal.aborted) stop();
    const output = this.#log.follow(child.stdout, child.stderr);
    const gone = new AbortController();
    let answered = false;
    try {
      answered = await this.#awaitAnswer(child);
      if (answered) this.#begin(child, gone.signal);
      await child.exited;
      await output;
      return answered;
    } finally {
      gone.abort();
      this.#stopping.signal.removeEventListener("abort", stop);
      this.#child = undefined;
      if (answered) this.#expectAnswer();
      if (!this.#stopping.signal.aborted) this.#noteFatalLoad(child);
    }
  }

  /** To be called when a child answers: it learns its models, and loads them ahead of requests. */
  #begin(child: EngineChild, gone: AbortSignal): void {
    this.#tell();
    this.#answers.resolve();
    void this.#watchHealth(child, gone);
    // Who waits for the models asks again, and is told what is wrong with them.
    this.#told.then(() => this.#ask("POST", "/warm-up")).catch(() => {});
  }

  #expectAnswer(): void {
    this.#answers = Promise.withResolvers<void>();
    // Whoever waits gets the rejection; that nobody waits is no error of its own.
    this.#answers.promise.catch(() => {});
  }

  async #awaitAnswer(child: EngineChild): Promise<boolean> {
    const deadline = performance.now() + (this.#options.startTimeoutMs ?? START_TIMEOUT_MS);
    while (child.exitCode === null && child.signalCode === null) {
      if (await this.#healthy()) return true;
      if (performance.now() > deadline) {
        this.#log.note("no answer within the time allowed for a start");
        child.kill("SIGKILL");
        return false;
      }
      await Promise.race([child.exited, Bun.sleep(POLL_MS)]);
    }
    return false;
  }

  async #watchHealth(child: EngineChild, gone: AbortSignal): Promise<void> {
    for (let failures = 0; ; ) {
      await delay(HEALTH_INTERVAL_MS, undefined, { signal: gone, ref: false }).catch(() => {});
      if (gone.aborted) return;
      failures = (await this.#healthy()) ? 0 : failures + 1;
      if (failures < HEALTH_FAILURES) continue;
      this.#log.note("it did not answer any more");
      child.kill("SIGKILL");
      return;
    }
  }

  async #healthy(): Promise<boolean> {
    try {
      const response = await fetch(`http://${HOST}:${this.#port}/health`, {
        signal: AbortSignal.timeout(HEALTH_TIMEOUT_MS),
        keepalive: false,
      });
      return response.ok && (await response.text()) === '{"status":"ok"}';
    } catch {
      return false;
    }
  }

  /** Tells the child what it serves. */
  #tell(): void {
    const fatal = [...this.#fatal].filter(([, { times }]) => times >= FATAL_LOADS);
    const broken = Object.fromEntries(fatal.map(([id, { message }]) => [id, message]));
    const body = JSON.stringify({ models: this.#models, broken });
    const told = () => this.#ask("PUT", "/models", body);
    // A list that did not arrive is told again to the next child.
    this.#told = this.#told.then(told, told);
    this.#told.catch(() => {});
  }

  /** @throws Failure as the child words it; Error when the connection breaks */
  async #ask(method: string, path: string, body?: string): Promise<void> {
    const response = await fetch(`http://${HOST}:${this.#port}${path}`, {
      method,
      headers: { Authorization: `Bearer ${this.apiKey}` },
      ...(body === undefined ? {} : { body }),
      signal: this.#stopping.signal,
      keepalive: false,
    });
    if (response.ok) return;
    const told = problem.safeParse(await response.json().catch(() => undefined));
    throw new Failure(
      "unavailable",
      told.data?.error.message ?? `The engine answered ${response.status}`,
    );
  }

  /** Waits until the child whose connection broke is seen to be gone, or proves to be there. */
  async #childGone(): Promise<void> {
    const child = this.#child;
    if (child) await Promise.race([child.exited, Bun.sleep(GONE_AFTER_MS)]);
    // Its end is noted a moment later.
    while (this.#child === child && child && child.exitCode !== null) await Bun.sleep(POLL_MS);
  }

  #noteFatalLoad(child: EngineChild): void {
    const model = this.#models.find(({ id }) => id === this.#log.loading);
    if (!model) return;
    const times = (this.#fatal.get(model.id)?.times ?? 0) + 1;
    const killed = child.signalCode === "SIGKILL";
    const message = loadFailure(model, this.#log.lastWords, killed);
    this.#fatal.set(model.id, { times, message });
  }
}

const problem = z.object({ error: z.object({ message: z.string() }) });

function asFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  return new Failure("unavailable", `The engine for this machine's models: ${messageOf(error)}`, {
    cause: error,
  });
}
