import type { Stages } from "../config.ts";
import { type Engine, type LocalModel, MODEL_STAGES, type ModelStage } from "../domain/model.ts";
import type {
  FoundServer,
  ProviderSettings,
  ProviderSettingsService,
  StageOverview,
} from "../domain/provider.ts";
import { Failure, messageOf } from "../errors.ts";
import {
  choiceOf,
  type LocalModels,
  OPENAI_URL,
  remoteProvider,
  resolveStages,
  type StageConfig,
} from "./resolve-stages.ts";
import { readSettings, writeSettings } from "./settings-file.ts";

/** A server that is asked whether it is there and takes the key. */
type Asked = { stage: ModelStage; baseURL: string; apiKey: string | undefined };

export interface ProviderChoiceOptions {
  config: StageConfig;
  /** Where choices and keys are stored. */
  settingsPath: string;
  /** The files of a downloaded model. @throws Failure when some are missing */
  downloaded(stage: ModelStage, model: { id: string; kind: string }): LocalModel;
  /** The model that files of the user's make. @throws Failure */
  modelAt(stage: ModelStage, path: string): LocalModel;
  /** What serves models on this machine; made when a session first needs it. */
  createEngine(models: readonly LocalModel[]): Engine;
  /** @throws Failure when the server does not answer, or refuses the key */
  assertReady(servers: Asked[]): Promise<void>;
  localServers(): Promise<FoundServer[]>;
}

/** The stages as a session that starts now uses them, until it is disposed of. */
export interface SessionStages extends Stages, Disposable {
  /** Waits for the engine, if it serves a stage. @throws Failure */
  ready(): Promise<void>;
}

/**
 * Who serves each stage: what the environment says, else what was chosen on the page, else OpenAI.
 * It owns the engine for the stages of this machine.
 */
export class ProviderChoice implements ProviderSettingsService, AsyncDisposable {
  readonly #options: ProviderChoiceOptions;
  #settings: ProviderSettings;
  #engine: Engine | undefined;
  /** Models of sessions that go on: the engine keeps them while others are chosen. */
  readonly #inUse = new Set<readonly LocalModel[]>();
  /** What the engine serves, to tell whether it has to change. */
  #served = "";

  /** @throws Failure when the stored settings cannot be read */
  constructor(options: ProviderChoiceOptions) {
    this.#options = options;
    this.#settings = readSettings(options.settingsPath);
  }

  /** @throws Failure when a stage of this machine has no model to run */
  stages(): SessionStages {
    const local: LocalModels = {};
    for (const stage of MODEL_STAGES) {
      const model = this.#localModel(stage);
      if (model) Object.assign(local, { [stage]: model });
    }
    const models = Object.values(local);
    if (models.length > 0) this.#inUse.add(models);
    const engine = models.length === 0 ? undefined : this.#engineFor(this.#modelsInUse());
    const server = engine ?? { baseURL: "", apiKey: "" };
    return {
      ...resolveStages(this.#options.config, this.#settings, local, server),
      ready: async () => engine?.ready(),
      [Symbol.dispose]: () => this.#inUse.delete(models),
    };
  }

  #modelsInUse(): LocalModel[] {
    const all = [...this.#inUse].flat();
    return [...new Map(all.map((model) => [`${model.stage} ${model.id}`, model])).values()];
  }

  /** The stages as if none ran on this machine: those that other servers serve are as they are. */
  remoteStages(): Stages {
    return resolveStages(this.#options.config, this.#settings, {}, { baseURL: "", apiKey: "" });
  }

  /** What a page shows before a conversation: the voice and the language model. */
  defaults(): { voice: string; llmModel: string } {
    const { config } = this.#options;
    const [, llm, tts] = this.overview();
    return {
      voice: tts?.voice ?? config.tts.voice,
      llmModel: llm?.model ?? config.llm.model,
    };
  }

  /** Whether a stage can be used; the engine is not started for it. @throws Failure */
  async check(stage: ModelStage): Promise<void> {
    if (this.#localModel(stage)) return;
    const { baseURL, apiKey } = remoteProvider(this.#options.config, this.#settings, stage);
    await this.#options.assertReady([{ stage, baseURL, apiKey }]);
  }

  overview(): StageOverview[] {
    return MODEL_STAGES.map((stage) => this.#overviewOf(stage));
  }

  get hasOpenAiKey(): boolean {
    return this.#settings.openai_api_key !== undefined;
  }

  async useOpenAi(stages: readonly ModelStage[], key: string | undefined): Promise<void> {
    const apiKey = key ?? this.#settings.openai_api_key;
    if (apiKey === undefined) throw new Failure("invalid", "Paste your OpenAI key.");
    const free = this.#free(stages);
    if (key !== undefined) {
      await this.#options.assertReady([{ stage: "llm", baseURL: OPENAI_URL, apiKey }]);
    }
    this.#store({
      openai_api_key: apiKey,
      stages: { ...this.#settings.stages, ...each(free, { use: "openai" as const }) },
    });
  }

  async useEndpoint(
    stages: readonly ModelStage[],
    endpoint: Parameters<ProviderSettingsService["useEndpoint"]>[1],
  ): Promise<void> {
    const free = this.#free(stages);
    const stored = Object.values(this.#settings.stages).find(
      (choice) => choice.use === "endpoint" && choice.base_url === endpoint.base_url,
    );
    const known = stored?.use === "endpoint" ? stored.api_key : undefined;
    const apiKey = endpoint.api_key ?? known;
    const [stage = "llm"] = free;
    await this.#options.assertReady([{ stage, baseURL: endpoint.base_url, apiKey }]);
    const choice = {
      ...endpoint,
      ...(apiKey === undefined ? {} : { api_key: apiKey }),
      use: "endpoint" as const,
    };
    this.#store({
      ...this.#settings,
      stages: { ...this.#settings.stages, ...each(free, choice) },
    });
  }

  useLocal(stage: ModelStage, model: { id: string; kind: string }): void {
    this.#free([stage]);
    // Refused now rather than when somebody wants to talk.
    this.#options.downloaded(stage, model);
    const choice = { use: "local" as const, model: model.id, kind: model.kind };
    this.#store({
      ...this.#settings,
      stages: { ...this.#settings.stages, [stage]: choice },
    });
  }

  forget(): void {
    this.#store({ stages: {} });
  }

  localServers(): Promise<FoundServer[]> {
    return this.#options.localServers();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#engine?.[Symbol.asyncDispose]();
  }

  #store(settings: ProviderSettings): void {
    writeSettings(this.#options.settingsPath, settings);
    this.#settings = settings;
  }

  /** The stages that no variable decides. @throws Failure when there are none */
  #free(stages: readonly ModelStage[]): ModelStage[] {
    const { fixedBy } = this.#options.config;
    const free = stages.filter((stage) => fixedBy[stage] === undefined);
    if (free.length > 0) return free;
    const names = [...new Set(stages.map((stage) => fixedBy[stage]))].join(" and ");
    throw new Failure(
      "conflict",
      `${names} in the environment decides this. Take it out there, and start Parley again.`,
    );
  }

  /** The model of a stage that this machine serves. @throws Failure when its files are missing */
  #localModel(stage: ModelStage): LocalModel | undefined {
    const { config, modelAt, downloaded } = this.#options;
    const choice = choiceOf(config, this.#settings, stage);
    if (choice.use === "path") return modelAt(stage, choice.path);
    if (choice.use === "local") return downloaded(stage, { id: choice.model, kind: choice.kind });
    return undefined;
  }

  #engineFor(models: readonly LocalModel[]): Engine {
    const served = JSON.stringify(models);
    if (this.#engine === undefined) this.#engine = this.#options.createEngine(models);
    else if (served !== this.#served) this.#engine.use(models);
    this.#served = served;
    return this.#engine;
  }

  #overviewOf(stage: ModelStage): StageOverview {
    const { config } = this.#options;
    const choice = choiceOf(config, this.#settings, stage);
    const shared = { stage, fixedBy: config.fixedBy[stage], voice: undefined, hasKey: false };
    if (choice.use === "path" || choice.use === "local") {
      const named = choice.use === "path" ? choice.path : choice.model;
      return { ...shared, use: "local", baseURL: undefined, ...this.#tryLocal(stage, named) };
    }
    const { baseURL, apiKey } = remoteProvider(config, this.#settings, stage);
    const { model, voice } = choice.use === "endpoint" ? choice : { model: "", voice: "" };
    const isOpenAi = baseURL === OPENAI_URL;
    return {
      ...shared,
      use: isOpenAi ? "openai" : "endpoint",
      baseURL,
      model: model || config[stage].model,
      voice: stage === "tts" ? voice || config.tts.voice : undefined,
      hasKey: apiKey !== undefined,
      problem: isOpenAi && apiKey === undefined ? "It has no key yet." : undefined,
    };
  }

  #tryLocal(stage: ModelStage, named: string): Pick<StageOverview, "model" | "problem"> {
    try {
      return { model: this.#localModel(stage)?.id ?? named, problem: undefined };
    } catch (error) {
      return { model: named, problem: messageOf(error) };
    }
  }
}

function each<T>(stages: readonly ModelStage[], value: T): Partial<Record<ModelStage, T>> {
  return Object.fromEntries(stages.map((stage) => [stage, value]));
}
