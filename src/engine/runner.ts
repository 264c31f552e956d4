import { mkdirSync, statSync } from "node:fs";
import { resolve } from "node:path";
import type { Logger } from "pino";
import { z } from "zod";
import {
  type LocalModel,
  localModel,
  type ModelServer,
  pathsOf,
  type RunnerState,
} from "../domain/model.ts";
import type { Stage } from "../domain/stage.ts";
import { Failure, messageOf } from "../errors.ts";
import { childEnvironment } from "../lib/child-environment.ts";
import { randomText } from "../lib/random-text.ts";
import { residentMemory } from "../lib/resident-memory.ts";
import { type Child, type Command, SupervisedProcess } from "../lib/supervised.ts";
import type { BrokenModels } from "./broken-models.ts";
import { loadFailure } from "./check-model.ts";
import { EngineLog } from "./engine-log.ts";

export interface RunnerOptions {
  /** How this program is started as an engine, without an engine's arguments; see `Program`. */
  command: readonly string[];
  /** What the child's environment is made from; secrets in it do not reach the child. */
  variables: Record<string, string | undefined>;
  /**
   * The folder that children start in; it is created. Bun reads a `.env` there, so it must not be
   * Parley's own, and only Parley's user should be able to write to it.
   */
  folder: string;
  logger: Logger;
  /** How long a child may take until it answers, in ms. */
  startTimeoutMs?: number;
  /** How long a child may take to load its models, in ms, besides the time to read their files. */
  loadTimeoutMs?: number;
}

const HOST = "127.0.0.1";
const STAGE_NAMES: Record<Stage, string> = {
  stt: "speech recognition",
  llm: "language models",
  tts: "voices",
};
/** How often `ready` tries again when the child ends; a model that ends it is reported after two. */
const MAX_ATTEMPTS = 3;
/** How long a child whose connection broke may take to exit. */
const EXIT_TIMEOUT_MS = 2000;
const LOAD_TIMEOUT_MS = 60_000;
/** As slow as a disk may be, in bytes per ms. */
const SLOWEST_READ = 10_000;
/**
 * Runs the local models of one stage in a child of this program. The child is restarted when it
 * exits, and ends with this process however that ends, because it watches its stdin.
 */
export class Runner implements AsyncDisposable {
  readonly #stage: Stage;
  readonly #options: RunnerOptions;
  readonly #broken: BrokenModels;
  readonly #process: SupervisedProcess;
  readonly #log: EngineLog;
  #key = newKey();
  #models: readonly LocalModel[] = [];
  /** What the child was last sent, and when it has it. */
  #sent = { body: "", done: Promise.resolve() };

  constructor(stage: Stage, options: RunnerOptions, broken: BrokenModels) {
    this.#stage = stage;
    this.#options = options;
    this.#broken = broken;
    const { logger, startTimeoutMs } = options;
    this.#log = new EngineLog(logger, this.#key);
    this.#process = new SupervisedProcess({
      name: `the engine for ${STAGE_NAMES[stage]}`,
      host: HOST,
      command: (port) => this.#command(port),
      health: {
        path: "/health",
        body: '{"status":"ok"}',
        timeoutMs: 5000,
        intervalMs: 5000,
        failures: 4,
      },
      // Libraries load models on the child's only thread; this has a deadline of its own.
      isBusy: () => this.#log.loading !== undefined,
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
        `The engine for ${STAGE_NAMES[stage]} ${problem}. Fix this, or use another server.`,
      stoppedMessage: "The engine was stopped",
      onAnswer: () => this.#prepareChild(),
      onExit: (child, killed) => this.#noteCrash(child, killed),
      onMoved: () => {
        this.#key = newKey();
        this.#log.secret = this.#key;
      },
    });
  }

  get server(): ModelServer {
    return { baseURL: `${this.#address}/v1`, apiKey: this.#key };
  }

  /** The process that runs now. */
  get pid(): number | undefined {
    return this.#process.pid;
  }

  state(): RunnerState {
    const { pid } = this;
    return {
      stage: this.#stage,
      restarts: this.#process.restarts,
      residentBytes: pid === undefined ? undefined : residentMemory(pid),
      loaded: pid === undefined ? [] : [...this.#log.loaded],
    };
  }

  /** Resolves when the child has loaded its models; starts it. @throws Failure */
  async ready(): Promise<void> {
    // A model may end the process that loads it; the next process says why.
    for (let attempt = 1; ; attempt++) {
      this.#process.start();
      await this.#process.answered;
      try {
        // Files that were repaired meanwhile are tried again.
        this.#sendModels();
        await this.#sent.done;
        return await this.#load();
      } catch (error) {
        if (error instanceof Failure || attempt >= MAX_ATTEMPTS) throw asFailure(error);
        await this.#process.exited(EXIT_TIMEOUT_MS);
      }
    }
  }

  /** Replaces the models that the child serves, without aborting running requests. */
  use(models: readonly LocalModel[]): void {
    this.#models = models;
    if (this.pid !== undefined) this.#sendModels();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process[Symbol.asyncDispose]();
  }

  get #address(): string {
    return `http://${HOST}:${this.#process.port}`;
  }

  #command(port: number): Command {
    const { command, variables, folder } = this.#options;
    mkdirSync(folder, { recursive: true });
    return {
      argv: [...command, "--supervised", this.#stage, "--host", HOST, "--port", String(port)],
      env: { ...childEnvironment(variables), ENGINE_API_KEY: this.#key },
      cwd: folder,
    };
  }

  /** Sends a new child its models, and has it load them before the first request. */
  #prepareChild(): void {
    this.#sent.body = "";
    this.#sendModels();
    // Callers of `ready` ask for this again, and get the error.
    this.#sent.done.then(() => this.#load()).catch(() => {});
  }

  #sendModels(): void {
    const body = JSON.stringify({
      models: this.#models.map(withAbsolutePaths),
      broken: this.#broken.among(this.#models),
    });
    if (body === this.#sent.body) return;
    const send = () => this.#request("PUT", "/models", { body });
    // Lists go one after the other, so that the newest wins; the next child gets a list that failed.
    this.#sent = { body, done: this.#sent.done.then(send, send) };
    this.#sent.done.catch(() => {});
  }

  /** Has the child load its models. One that takes too long is killed. */
  async #load(): Promise<void> {
    const { loadTimeoutMs = LOAD_TIMEOUT_MS } = this.#options;
    const ms = Math.round(loadTimeoutMs + bytesOf(this.#models) / SLOWEST_READ);
    const timeout = AbortSignal.timeout(ms);
    try {
      await this.#request("POST", "/warm-up", { signal: timeout });
    } catch (error) {
      if (timeout.aborted) this.#process.kill(`it was not loaded within ${Math.ceil(ms / 1000)} s`);
      throw error;
    }
  }

  /** @throws Failure with the child's own message; Error when the connection breaks */
  async #request(
    method: string,
    path: string,
    { body, signal }: { body?: string; signal?: AbortSignal },
  ): Promise<void> {
    const { stopping } = this.#process;
    const response = await fetch(`${this.#address}${path}`, {
      method,
      headers: { Authorization: `Bearer ${this.#key}` },
      ...(body === undefined ? {} : { body }),
      signal: signal ? AbortSignal.any([stopping, signal]) : stopping,
      keepalive: false,
    });
    if (response.ok) return;
    const { data } = problem.safeParse(await response.json().catch(() => undefined));
    throw new Failure(
      "unavailable",
      data?.error.message ?? `The engine answered ${response.status}`,
    );
  }

  #noteCrash(child: Child, killed: boolean): void {
    const model = this.#models.find(({ id }) => id === this.#log.loading);
    if (!model || this.#process.stopping.aborted) return;
    const bySystem = child.signalCode === "SIGKILL" && !killed;
    const why = loadFailure(model, this.#log.lastErrors, bySystem);
    this.#broken.add(model, why, killed);
  }
}

/** Relative paths are relative to Parley's folder, which is not the child's. */
function withAbsolutePaths(model: LocalModel): LocalModel {
  const { stage, id, kind, ...paths } = model;
  const absolute = Object.entries<string | string[] | undefined>(paths).flatMap(([part, path]) =>
    path === undefined
      ? []
      : [[part, typeof path === "string" ? resolve(path) : path.map((one) => resolve(one))]],
  );
  return localModel.parse({ stage, id, kind, ...Object.fromEntries(absolute) });
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

function bytesOf(models: readonly LocalModel[]): number {
  const sizes = models
    .flatMap(pathsOf)
    .map((path) => statSync(path, { throwIfNoEntry: false })?.size ?? 0);
  return sizes.reduce((sum, size) => sum + size, 0);
}
