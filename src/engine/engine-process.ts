import { isDeepStrictEqual } from "node:util";
import type { Logger } from "pino";
import { z } from "zod";
import type { Engine, LocalModel } from "../domain/model.ts";
import { Failure, messageOf } from "../errors.ts";
import { randomText } from "../lib/random-text.ts";
import { type Child, type Command, SupervisedProcess } from "../lib/supervised.ts";
import { loadFailure } from "./check-model.ts";
import { EngineLog } from "./engine-log.ts";

export interface EngineOptions {
  /** How this program is started as an engine, without an engine's arguments; see `Program`. */
  command: readonly string[];
  /** What the child's environment is made from; secrets in it do not reach the child. */
  variables: Record<string, string | undefined>;
  models: readonly LocalModel[];
  logger: Logger;
  /** How long a child may take until it answers, in ms. */
  startTimeoutMs?: number;
}

/** An engine in a child process. */
export interface SupervisedEngine extends Engine {
  /** The process that runs now. */
  readonly pid: number | undefined;
}

const HOST = "127.0.0.1";
/** A model that crashed the engine this many times while it was loaded is not loaded again. */
const MAX_CRASHES_PER_MODEL = 2;
/** How long a child whose connection broke may take to exit. */
const EXIT_TIMEOUT_MS = 2000;
/** The variables that a child gets; none of them holds a key. */
const PASSED_ON =
  /^(PATH|HOME|USERPROFILE|LOCALAPPDATA|SYSTEMROOT|TE?MP|TMPDIR|XDG_CACHE_HOME|PARLEY_CACHE_DIR|LD_LIBRARY_PATH|DYLD_LIBRARY_PATH|LANG|LC_ALL|TZ|ENGINE_(?!API_KEY)\w+|XDG_(RUNTIME_DIR|DATA_DIRS)|(VK|CUDA|NVIDIA|GGML)_\w+)$/i;

/**
 * Prepares an engine in a child of this program, so that inference never delays audio. The child
 * starts when it is first needed, is restarted when it exits, and ends with this process however
 * that ends, because it watches its stdin.
 */
export function startEngine(options: EngineOptions): SupervisedEngine {
  return new EngineProcess(options);
}

class EngineProcess implements SupervisedEngine {
  readonly #options: EngineOptions;
  #key = newKey();
  readonly #process: SupervisedProcess;
  readonly #log: EngineLog;
  #models: readonly LocalModel[];
  /** How often each model crashed the engine while it was loaded, and why, by its id. */
  #crashes = new Map<string, { times: number; message: string }>();
  /** Settles when the child has the newest list of models. */
  #modelsSent: Promise<void> = Promise.resolve();

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#models = options.models;
    const { logger, startTimeoutMs } = options;
    this.#log = new EngineLog(logger, this.apiKey);
    this.#process = new SupervisedProcess({
      name: "the engine",
      host: HOST,
      command: (port) => this.#command(port),
      health: {
        path: "/health",
        body: '{"status":"ok"}',
        timeoutMs: 5000,
        intervalMs: 5000,
        failures: 4,
      },
      output: this.#log,
      logger,
      startTimeoutMs,
      maxStarts: 3,
      firstBackoffMs: 100,
      stopSignals: [
        ["SIGTERM", 0],
        ["SIGKILL", 2000],
      ],
      failureMessage: (problem) =>
        `The engine for local models ${problem}. Fix this, or use other servers for the stages ` +
        "that it serves.",
      stoppedMessage: "The engine was stopped",
      onAnswer: () => this.#prepareChild(),
      onExit: (child) => this.#noteCrash(child),
      onMoved: () => {
        this.#key = newKey();
        this.#log.secret = this.#key;
      },
    });
  }

  get baseURL(): string {
    return `${this.#address}/v1`;
  }

  get apiKey(): string {
    return this.#key;
  }

  get restarts(): number {
    return this.#process.restarts;
  }

  get #address(): string {
    return `http://${HOST}:${this.#process.port}`;
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  async ready(): Promise<void> {
    // A model may crash the engine while it is loaded; the next child says why.
    for (let attempt = 1; ; attempt++) {
      this.#process.start();
      await this.#process.answered;
      try {
        await this.#modelsSent;
        return await this.#request("POST", "/warm-up");
      } catch (error) {
        if (error instanceof Failure || attempt > MAX_CRASHES_PER_MODEL) throw asFailure(error);
        await this.#process.exited(EXIT_TIMEOUT_MS);
      }
    }
  }

  use(models: readonly LocalModel[]): void {
    // The same list again, after a crash, is a new try: the files may have been fixed.
    if (isDeepStrictEqual(models, this.#models) && this.#crashes.size === 0) return;
    this.#models = models;
    this.#crashes.clear();
    if (this.pid !== undefined) this.#sendModels();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process[Symbol.asyncDispose]();
  }

  #command(port: number): Command {
    const { command, variables } = this.#options;
    const passedOn = Object.entries(variables).filter(([name]) => PASSED_ON.test(name));
    return {
      argv: [...command, "--supervised", "--host", HOST, "--port", String(port)],
      env: {
        ...Object.fromEntries(passedOn),
        ENGINE_API_KEY: this.apiKey,
        // Parley's `.env` holds keys.
        BUN_OPTIONS: "--no-env-file",
        // llama.cpp would start a debugger on itself when it fails.
        GGML_NO_BACKTRACE: "1",
      },
    };
  }

  /** Sends a new child its models, and has it load them before the first request. */
  #prepareChild(): void {
    this.#sendModels();
    // Callers of `ready` ask for this again, and get the error.
    this.#modelsSent.then(() => this.#request("POST", "/warm-up")).catch(() => {});
  }

  #sendModels(): void {
    const tooOften = [...this.#crashes].filter(([, { times }]) => times >= MAX_CRASHES_PER_MODEL);
    const broken = Object.fromEntries(tooOften.map(([id, { message }]) => [id, message]));
    const body = JSON.stringify({ models: this.#models, broken });
    const send = () => this.#request("PUT", "/models", body);
    // Lists go one after the other, so that the newest wins; the next child gets a list that failed.
    this.#modelsSent = this.#modelsSent.then(send, send);
    this.#modelsSent.catch(() => {});
  }

  /** @throws Failure with the child's own message; Error when the connection breaks */
  async #request(method: string, path: string, body?: string): Promise<void> {
    const response = await fetch(`${this.#address}${path}`, {
      method,
      headers: { Authorization: `Bearer ${this.apiKey}` },
      ...(body === undefined ? {} : { body }),
      signal: this.#process.stopping,
      keepalive: false,
    });
    if (response.ok) return;
    const { data } = problem.safeParse(await response.json().catch(() => undefined));
    throw new Failure(
      "unavailable",
      data?.error.message ?? `The engine answered ${response.status}`,
    );
  }

  #noteCrash(child: Child): void {
    const model = this.#models.find(({ id }) => id === this.#log.loading);
    if (!model) return;
    const times = (this.#crashes.get(model.id)?.times ?? 0) + 1;
    const killed = child.signalCode === "SIGKILL";
    const message = loadFailure(model, this.#log.lastErrors, killed);
    this.#crashes.set(model.id, { times, message });
  }
}

function newKey(): string {
  return randomText(24, "base64url");
}

const problem = z.object({ error: z.object({ message: z.string() }) });

function asFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  return new Failure("unavailable", `The engine for local models: ${messageOf(error)}`, {
    cause: error,
  });
}
