import { join } from "node:path";
import type { Engine, LocalModel, ModelServer, RunnerState } from "../domain/model.ts";
import type {
  Endpoint,
  EndpointChoices,
  FoundServer,
  LocalChoice,
  OfferedNames,
  ProviderSettings,
  ProviderSettingsService,
  SpeechToSpeechChoice,
  SpeechToSpeechOverview,
  StageChoice,
  StageOverview,
} from "../domain/provider.ts";
import { apiAddresses } from "../domain/server-address.ts";
import type { SessionMode } from "../domain/session.ts";
import type { Speaker } from "../domain/speaker.ts";
import {
  OPENAI_URL,
  type SpeechToSpeechProvider,
  STAGES,
  type Stage,
  type StageProviders,
} from "../domain/stage.ts";
import { Failure } from "../errors.ts";
import { speakersOf } from "../lib/speakers.ts";
import { downloadedModel } from "../models/model-folder.ts";
import { noEngine } from "../models/no-engine.ts";
import { resolveModel } from "../models/resolve-model.ts";
import { localServerSearch } from "./local-servers.ts";
import { overviewOf } from "./provider-overview.ts";
import type { ProviderServers } from "./provider-servers.ts";
import { realtimeModelCheck } from "./realtime-model-check.ts";
import {
  choiceOf,
  type LocalModels,
  type ProviderPick,
  resolveStages,
  type StageConfig,
  secondChoiceOf,
} from "./resolve-stages.ts";
import { readSettings, writeSettings } from "./settings-file.ts";
import { speechToSpeechOverview, speechToSpeechProvider } from "./speech-to-speech.ts";

export interface ProviderChoiceOptions {
  config: StageConfig;
  /** Where choices and keys are stored. */
  settingsPath: string;
  /** The files of a downloaded model. @throws Failure when some are missing */
  downloaded(stage: Stage, model: { id: string; kind: string }): LocalModel;
  /** The model that the user's own files make up. @throws Failure */
  modelAt(stage: Stage, path: string): LocalModel;
  /** What runs local models; created when a session first needs it. */
  createEngine(): Engine;
  /** What the servers are and offer. */
  servers: Pick<ProviderServers, "find" | "settle" | "settled" | "offered">;
  /** @throws Failure when a realtime model does not accept a session */
  assertRealtimeModel(provider: SpeechToSpeechProvider): Promise<void>;
  localServers(): Promise<FoundServer[]>;
}

/** Takes the place of the engine's server for stages that have no local model. */
const NO_SERVER: ModelServer = { baseURL: "", apiKey: "" };

/** Creates the engine for local models. */
export type CreateEngine = ProviderChoiceOptions["createEngine"];

/**
 * Opens the choice of providers over the settings and models of a data directory.
 *
 * @param createEngine undefined for a program that has no engine
 * @throws Failure when the stored settings cannot be read
 */
export function openProviderChoice(
  config: StageConfig & { dataDir: string },
  { servers }: Pick<ProviderChoiceOptions, "servers">,
  createEngine: CreateEngine = noEngine,
): ProviderChoice {
  const folder = join(config.dataDir, "models");
  return new ProviderChoice({
    config,
    settingsPath: join(config.dataDir, "settings.json"),
    downloaded: (stage, model) => downloadedModel(folder, stage, model),
    modelAt: resolveModel,
    createEngine,
    servers,
    assertRealtimeModel: realtimeModelCheck(),
    localServers: localServerSearch(),
  });
}

/** The stages as a session that starts now uses them, leased until they are disposed of. */
export interface StageLease extends StageProviders, Disposable {
  /** The realtime model that serves the session in place of the stages. */
  realtimeModel?: SpeechToSpeechProvider | undefined;
  /**
   * Waits for the engine, if it is the first provider of a stage, or for a realtime model to accept a session.
   *
   * @param wish the names that the session asks of a realtime model
   * @throws Failure
   */
  ready(wish?: Pick<SpeechToSpeechProvider, "model" | "voice">): Promise<void>;
}

/**
 * Decides who serves each stage: the environment, else what was chosen on the page, else OpenAI.
 * It owns the engine that serves local models.
 */
export class ProviderChoice implements ProviderSettingsService, AsyncDisposable {
  readonly #options: ProviderChoiceOptions;
  #settings: ProviderSettings;
  #engine: Engine | undefined;
  /** Models of live sessions: the engine keeps them in memory. */
  readonly #inUse = new Set<readonly LocalModel[]>();

  /** @throws Failure when the stored settings cannot be read */
  constructor(options: ProviderChoiceOptions) {
    this.#options = options;
    this.#settings = readSettings(options.settingsPath);
  }

  /**
   * @param mode undefined: speech to speech if it was chosen
   * @throws Failure when a local stage has no model to run
   */
  stages(mode?: SessionMode): StageLease {
    const { chosen } = this.speechToSpeech();
    if ((mode ?? (chosen ? "speech_to_speech" : "pipeline")) === "speech_to_speech") {
      const realtimeModel = this.realtimeModel();
      return {
        ...this.remoteStages(),
        realtimeModel,
        ready: (wish) => this.#options.assertRealtimeModel({ ...realtimeModel, ...wish }),
        [Symbol.dispose]: () => {},
      };
    }
    const first = localModels((stage) => this.#localModel(stage));
    const second = localModels((stage) => this.#localSecond(stage));
    return this.#lease(first, second);
  }

  /**
   * A downloaded voice in place of the one that is chosen, to be heard.
   *
   * @param voice a speaker of the model; undefined: its first
   * @throws Failure when its files are missing
   */
  trial({ voice, ...model }: LocalChoice): StageLease {
    const lease = this.#lease({ tts: this.#options.downloaded("tts", model) }, {});
    return { ...lease, tts: { ...lease.tts, voice: voice ?? "" } };
  }

  speakers(model: { id: string; kind: string }): Promise<Speaker[]> {
    return speakersIn(() => this.#options.downloaded("tts", model));
  }

  async speakersInUse(): Promise<Speaker[]> {
    return this.speechToSpeech().chosen ? [] : speakersIn(() => this.#localModel("tts"));
  }

  #lease(first: LocalModels, second: LocalModels): StageLease {
    const models = [...Object.values(first), ...Object.values(second)];
    const engine = models.length === 0 ? undefined : this.#engineFor(models);
    const serverOf = (stage: Stage) => engine?.serverOf(stage) ?? NO_SERVER;
    const stagesOf = (local: LocalModels) => STAGES.filter((stage) => local[stage] !== undefined);
    return {
      ...resolveStages(this.#options.config, this.#settings, { first, second }, serverOf),
      ready: async () => {
        // A model that only takes over is loaded meanwhile; if that fails, so do its requests.
        engine?.ready(stagesOf(second)).catch(() => {});
        await engine?.ready(stagesOf(first));
      },
      [Symbol.dispose]: () => {
        if (this.#inUse.delete(models)) engine?.use(this.#modelsInUse());
      },
    };
  }

  /** Has the engine keep these models, besides those of other sessions. */
  #engineFor(models: readonly LocalModel[]): Engine {
    this.#inUse.add(models);
    this.#engine ??= this.#options.createEngine();
    this.#engine.use(this.#modelsInUse());
    return this.#engine;
  }

  #modelsInUse(): LocalModel[] {
    const all = [...this.#inUse].flat();
    return [...new Map(all.map((model) => [`${model.stage} ${model.id}`, model])).values()];
  }

  /** The stages as if no local model was chosen; those that other servers serve are unchanged. */
  remoteStages(): StageProviders {
    const none = { first: {}, second: {} };
    return resolveStages(this.#options.config, this.#settings, none, () => NO_SERVER);
  }

  /** The voice and the language model that a conversation begins with; empty: the server's. */
  defaults(): { voice: string; llmModel: string } {
    const { chosen, model, voice } = this.speechToSpeech();
    if (chosen) return { llmModel: model, voice };
    const [, llm, tts] = this.overview();
    return { voice: tts?.voice ?? "", llmModel: llm?.model ?? "" };
  }

  /** Whether a stage can be used; the engine is not started for it. @throws Failure */
  async check(stage: Stage): Promise<void> {
    if (this.speechToSpeech().chosen) {
      return this.#options.assertRealtimeModel(this.realtimeModel());
    }
    if (this.#localModel(stage)) return;
    await this.#options.servers.settle(stage, this.remoteStages()[stage]);
  }

  /** Whether what takes over for a stage can be used. @throws Failure */
  async checkSecond(stage: Stage): Promise<void> {
    const { fallback } = this.remoteStages()[stage];
    if (fallback) await this.#options.servers.settle(stage, fallback);
    const pick = secondChoiceOf(this.#options.config, this.#settings, stage);
    if (pick) this.#modelOf(stage, pick);
  }

  /** Whether a stage has a second provider. */
  hasSecond(stage: Stage): boolean {
    return secondChoiceOf(this.#options.config, this.#settings, stage) !== undefined;
  }

  overview(): StageOverview[] {
    const { chosen, problem } = this.speechToSpeech();
    // Then the stages need no provider, but the realtime model does.
    const needed = chosen ? { problem } : {};
    const { config, servers } = this.#options;
    const remote = this.remoteStages();
    const modelOf = (stage: Stage, pick: ProviderPick) => this.#modelOf(stage, pick);
    const known = { config, settings: this.#settings, remote, servers, modelOf };
    return STAGES.map((stage) => ({ ...overviewOf(stage, known), ...needed }));
  }

  /** The realtime model of speech to speech, whether or not it was chosen. */
  realtimeModel(): SpeechToSpeechProvider {
    return speechToSpeechProvider(this.#options.config.speechToSpeech, this.#settings);
  }

  speechToSpeech(): SpeechToSpeechOverview {
    return speechToSpeechOverview(this.#options.config.speechToSpeech, this.#settings);
  }

  async useSpeechToSpeech(choice: SpeechToSpeechChoice | undefined): Promise<void> {
    const { config, assertRealtimeModel } = this.#options;
    const { fixedBy } = config.speechToSpeech;
    if (fixedBy !== undefined) throw decidedBy(fixedBy);
    const { speech_to_speech: stored, ...others } = this.#settings;
    if (choice === undefined) return this.#store(others);
    const known = stored?.base_url === choice.base_url ? stored.api_key : undefined;
    const apiKey = choice.api_key ?? known;
    const settings = {
      ...others,
      speech_to_speech: { ...choice, ...(apiKey === undefined ? {} : { api_key: apiKey }) },
    };
    await assertRealtimeModel(speechToSpeechProvider(config.speechToSpeech, settings));
    this.#store(settings);
  }

  get hasOpenAiKey(): boolean {
    return this.#settings.openai_api_key !== undefined;
  }

  async useOpenAi(stages: readonly Stage[], key: string | undefined): Promise<void> {
    const apiKey = key ?? this.#settings.openai_api_key;
    if (apiKey === undefined) throw new Failure("invalid", "Enter your OpenAI key.");
    const free = this.#free(stages);
    if (key !== undefined) {
      await this.#options.servers.find({ stage: "llm", baseURL: OPENAI_URL, apiKey });
    }
    this.#store({
      openai_api_key: apiKey,
      stages: { ...this.#settings.stages, ...each(free, { use: "openai" as const }) },
    });
  }

  async useEndpoints(endpoints: EndpointChoices): Promise<void> {
    const free = this.#free(STAGES.filter((stage) => endpoints[stage] !== undefined));
    const choices = await Promise.all(
      free.map(async (stage) => [stage, await this.#settled(stage, endpoints[stage])] as const),
    );
    this.#store({
      ...this.#settings,
      stages: { ...this.#settings.stages, ...Object.fromEntries(choices) },
    });
  }

  async offered(stage: Stage, { base_url, api_key }: Endpoint): Promise<OfferedNames> {
    const apiKey = api_key ?? this.#keyFor(base_url);
    return this.#options.servers.offered(stage, { baseURL: base_url, apiKey });
  }

  /** The choice of an endpoint, with the address and the names that its server takes. */
  async #settled(stage: Stage, endpoint: Endpoint | undefined): Promise<StageChoice> {
    if (endpoint === undefined) throw new Failure("invalid", "The address is missing.");
    const { base_url, api_key = this.#keyFor(base_url), ...rest } = endpoint;
    const wish = { baseURL: base_url, apiKey: api_key, model: rest.model, voice: rest.voice };
    const { baseURL, model, voice } = await this.#options.servers.settle(stage, wish, true);
    return {
      ...rest,
      use: "endpoint",
      base_url: baseURL,
      ...(api_key !== undefined && { api_key }),
      ...(model !== undefined && { model }),
      ...(stage === "tts" && voice !== undefined && { voice }),
    };
  }

  /** The key that is stored for a server, wherever its API is. */
  #keyFor(address: string): string | undefined {
    const places = new Set(apiAddresses(address));
    const { stages, fallbacks = {} } = this.#settings;
    for (const choice of [...Object.values(stages), ...Object.values(fallbacks)]) {
      if (choice.use === "endpoint" && choice.api_key && places.has(choice.base_url)) {
        return choice.api_key;
      }
    }
    return undefined;
  }

  useLocal(stage: Stage, model: LocalChoice): void {
    this.#free([stage]);
    // Missing files are refused now rather than at the start of a conversation.
    this.#options.downloaded(stage, model);
    const { id, kind, voice } = model;
    const choice = {
      use: "local" as const,
      model: id,
      kind,
      ...(voice !== undefined && { voice }),
    };
    this.#store({
      ...this.#settings,
      stages: { ...this.#settings.stages, [stage]: choice },
    });
  }

  async useSecond(stage: Stage, choice: StageChoice | undefined): Promise<void> {
    const fixedBy = this.#options.config.fallbackFixedBy[stage];
    if (fixedBy !== undefined) throw decidedBy(fixedBy);
    const { [stage]: _, ...others } = this.#settings.fallbacks ?? {};
    const fallbacks =
      choice === undefined ? others : { ...others, [stage]: await this.#usable(stage, choice) };
    this.#store({ ...this.#settings, fallbacks });
  }

  /** A choice as it can be stored, after it was tried. @throws Failure */
  async #usable(stage: Stage, choice: StageChoice): Promise<StageChoice> {
    switch (choice.use) {
      case "endpoint": {
        const { use: _, ...endpoint } = choice;
        return this.#settled(stage, endpoint);
      }
      case "openai":
        if (this.hasOpenAiKey) return choice;
        throw new Failure("invalid", "Enter your OpenAI key first.");
      case "local":
        this.#modelOf(stage, choice);
        return choice;
    }
  }

  forget(): void {
    this.#store({ stages: {} });
  }

  localServers(): Promise<FoundServer[]> {
    return this.#options.localServers();
  }

  /** The processes of local models, by stage. */
  runners(): RunnerState[] {
    return this.#engine?.state() ?? [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#engine?.[Symbol.asyncDispose]();
  }

  #store(settings: ProviderSettings): void {
    writeSettings(this.#options.settingsPath, settings);
    this.#settings = settings;
  }

  /** Those of the stages that no environment variable decides. @throws Failure when there are none */
  #free(stages: readonly Stage[]): Stage[] {
    const { fixedBy } = this.#options.config;
    const free = stages.filter((stage) => fixedBy[stage] === undefined);
    if (free.length > 0) return free;
    const names = [...new Set(stages.map((stage) => fixedBy[stage]))].join(" and ");
    throw decidedBy(names);
  }

  /** The local model of a stage, if it has one. @throws Failure when its files are missing */
  #localModel(stage: Stage): LocalModel | undefined {
    return this.#modelOf(stage, choiceOf(this.#options.config, this.#settings, stage));
  }

  /** The local model that takes over for a stage, if its files are there. */
  #localSecond(stage: Stage): LocalModel | undefined {
    const pick = secondChoiceOf(this.#options.config, this.#settings, stage);
    try {
      return pick && this.#modelOf(stage, pick);
    } catch (error) {
      // The overview and `parley doctor` say what is missing; the first provider may work.
      if (error instanceof Failure) return undefined;
      throw error;
    }
  }

  /** The local model of a choice, if it is one. @throws Failure when its files are missing */
  #modelOf(stage: Stage, pick: ProviderPick): LocalModel | undefined {
    const { modelAt, downloaded } = this.#options;
    if (pick.use === "path") return modelAt(stage, pick.path);
    if (pick.use === "local") return downloaded(stage, { id: pick.model, kind: pick.kind });
    return undefined;
  }
}

/** The speakers of a voice; none where it cannot be read, as the overview and a start say. */
async function speakersIn(find: () => LocalModel | undefined): Promise<Speaker[]> {
  try {
    const model = find();
    return model?.stage === "tts" ? await speakersOf(model) : [];
  } catch {
    return [];
  }
}

function localModels(find: (stage: Stage) => LocalModel | undefined): LocalModels {
  const models = STAGES.map((stage) => [stage, find(stage)] as const);
  return Object.fromEntries(models.filter(([, model]) => model !== undefined));
}

function each<T>(stages: readonly Stage[], value: T): Partial<Record<Stage, T>> {
  return Object.fromEntries(stages.map((stage) => [stage, value]));
}

function decidedBy(variables: string): Failure {
  return new Failure(
    "conflict",
    `${variables} is set in the environment. Remove it and restart Parley.`,
  );
}
