import { isDeepStrictEqual } from "node:util";
import type { Engine, LocalModel, ModelServer, RunnerState } from "../domain/model.ts";
import { STAGES, type Stage } from "../domain/stage.ts";
import { Failure } from "../errors.ts";
import { BrokenModels } from "./broken-models.ts";
import { Runner, type RunnerOptions } from "./runner.ts";

export interface EngineOptions extends RunnerOptions {
  /** How long models stay in memory after the last conversation with them, in ms. */
  keepAliveMs: number;
}

/** An engine in child processes. */
export interface SupervisedEngine extends Engine {
  /** The process that runs the models of a stage now. */
  pidOf(stage: Stage): number | undefined;
}

/**
 * Prepares an engine that runs the models of each stage in a child of this program, so that
 * inference never delays audio, and a model that fails takes no other stage with it. A child starts
 * when it is first needed, and ends when none of its models was used for a while.
 */
export function startEngine(options: EngineOptions): SupervisedEngine {
  return new SupervisedRunners(options);
}

/** The models of a stage and, while they are needed, what runs them. */
interface StageModels {
  models: readonly LocalModel[];
  runner: Runner | undefined;
  /** Since when the others are not used, by their ids, in ms of `performance.now()`. */
  idleSince: ReadonlyMap<string, number>;
  /** Ends the models that were not used for long enough. */
  release: NodeJS.Timeout | undefined;
  /** Of runners that were released. */
  restarts: number;
}

class SupervisedRunners implements SupervisedEngine {
  readonly #options: EngineOptions;
  readonly #broken = new BrokenModels();
  readonly #stages = new Map<Stage, StageModels>();
  /** Runners that were released and may not have exited yet. */
  readonly #ending = new Set<Promise<void>>();
  #disposed = false;

  constructor(options: EngineOptions) {
    this.#options = options;
  }

  serverOf(stage: Stage): ModelServer {
    return this.#runner(stage).server;
  }

  pidOf(stage: Stage): number | undefined {
    return this.#stages.get(stage)?.runner?.pid;
  }

  async ready(stages: readonly Stage[]): Promise<void> {
    await Promise.all(stages.map((stage) => this.#runner(stage).ready()));
  }

  use(models: readonly LocalModel[]): void {
    if (this.#disposed) return;
    for (const stage of STAGES) {
      const used = models.filter((model) => model.stage === stage);
      if (used.length > 0 || this.#stages.has(stage)) this.#useIn(stage, used);
    }
  }

  state(): RunnerState[] {
    return [...this.#stages].map(([stage, { runner, restarts }]) => {
      const state = runner?.state() ?? { stage, restarts: 0, residentBytes: undefined, loaded: [] };
      return { ...state, restarts: state.restarts + restarts };
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    for (const stage of this.#stages.keys()) this.#end(stage);
    await Promise.all(this.#ending);
  }

  /**
   * Models that are used no longer stay for a while, but not beside one that has to be loaded, and
   * not if they cannot be loaded, since that would keep others from being ready.
   */
  #useIn(stage: Stage, used: readonly LocalModel[]): void {
    const entry = this.#entry(stage);
    const has = (list: readonly LocalModel[], model: LocalModel) =>
      list.some((one) => isDeepStrictEqual(one, model));
    const unused = entry.models.filter((model) => !has(used, model));
    const loaded = entry.runner?.state().loaded ?? [];
    const isNew = used.some((model) => !has(entry.models, model));
    if (isNew || unused.some(({ id }) => !loaded.includes(id))) {
      this.#serve(stage, used);
      return;
    }
    const now = performance.now();
    entry.idleSince = new Map(unused.map(({ id }) => [id, entry.idleSince.get(id) ?? now]));
    this.#releaseInTime(stage);
  }

  /** Waits until the model that has not been used for longest was not used for long enough. */
  #releaseInTime(stage: Stage): void {
    const entry = this.#entry(stage);
    clearTimeout(entry.release);
    if (entry.idleSince.size === 0) return;
    const { keepAliveMs } = this.#options;
    const waitMs = Math.min(...entry.idleSince.values()) + keepAliveMs - performance.now();
    const release = () => {
      const latest = performance.now() - keepAliveMs;
      const isKept = ({ id }: LocalModel) => (entry.idleSince.get(id) ?? latest + 1) > latest;
      this.#serve(stage, entry.models.filter(isKept));
    };
    entry.release = setTimeout(release, Math.ceil(waitMs)).unref();
  }

  #serve(stage: Stage, models: readonly LocalModel[]): void {
    const entry = this.#entry(stage);
    entry.models = models;
    const idle = [...entry.idleSince].filter(([id]) => models.some((model) => model.id === id));
    entry.idleSince = new Map(idle);
    this.#releaseInTime(stage);
    // A process gives all its memory back, which the libraries do not.
    if (models.length === 0) this.#end(stage);
    else this.#runner(stage).use(models);
  }

  #entry(stage: Stage): StageModels {
    const known = this.#stages.get(stage);
    if (known) return known;
    const entry: StageModels = {
      models: [],
      runner: undefined,
      idleSince: new Map(),
      release: undefined,
      restarts: 0,
    };
    this.#stages.set(stage, entry);
    return entry;
  }

  /** @throws Failure after the engine was stopped */
  #runner(stage: Stage): Runner {
    if (this.#disposed) throw new Failure("unavailable", "The engine was stopped");
    const entry = this.#entry(stage);
    entry.runner ??= new Runner(stage, this.#options, this.#broken);
    return entry.runner;
  }

  #end(stage: Stage): void {
    const entry = this.#entry(stage);
    clearTimeout(entry.release);
    const { runner } = entry;
    if (runner === undefined) return;
    entry.runner = undefined;
    entry.restarts += runner.state().restarts;
    const ended: Promise<void> = runner[Symbol.asyncDispose]().finally(() =>
      this.#ending.delete(ended),
    );
    this.#ending.add(ended);
  }
}
