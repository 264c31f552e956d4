import { join } from "node:path";
import type { Logger } from "pino";
import type { Config } from "./config.ts";
import { type Engine, type LocalModel, MODEL_STAGES } from "./domain/model.ts";
import { Failure } from "./errors.ts";
import { catalogSource } from "./models/catalog.ts";
import { downloadedModel } from "./models/model-folder.ts";
import { ModelLibrary } from "./models/model-library.ts";
import { NO_ENGINE, noEngine } from "./models/no-engine.ts";
import { RecommendedSetup } from "./models/offline-setup.ts";
import { thisMachine } from "./models/recommend.ts";
import { resolveModel } from "./models/resolve-model.ts";
import { localServerSearch } from "./providers/local-servers.ts";
import type { ProviderCheck } from "./providers/provider-check.ts";
import { ProviderChoice } from "./providers/provider-choice.ts";

/** Parts that can be put in place of Parley's own. */
export interface AppParts {
  /** What serves models on this machine; made when a session first needs it. */
  createEngine?: ((models: readonly LocalModel[]) => Engine) | undefined;
}

/**
 * The models of this machine, their downloads, and the way to use the recommended ones; for a
 * Parley that cannot run them, none.
 */
export function openModels(
  config: Pick<Config, "dataDir" | "modelsCatalog">,
  providers: ProviderChoice,
  logger: Pick<Logger, "info" | "warn" | "error">,
  hasEngine: boolean,
) {
  const opened = new AsyncDisposableStack();
  const models = opened.use(
    new ModelLibrary({
      folder: join(config.dataDir, "models"),
      catalog: hasEngine ? catalogSource(config.modelsCatalog) : noCatalog,
      machine: thisMachine(),
      logger,
    }),
  );
  const offline = opened.use(new RecommendedSetup({ models, providers, logger }));
  return { models, offline, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

async function noCatalog(): Promise<never> {
  throw new Failure("unavailable", NO_ENGINE);
}

/** Who serves each stage, as the environment and the stored settings say. @throws Failure */
export function openChoice(
  config: Config,
  providers: Pick<ProviderCheck, "assertReady">,
  parts: AppParts = {},
): ProviderChoice {
  const folder = join(config.dataDir, "models");
  return new ProviderChoice({
    config,
    settingsPath: join(config.dataDir, "settings.json"),
    downloaded: (stage, model) => downloadedModel(folder, stage, model),
    modelAt: resolveModel,
    createEngine: parts.createEngine ?? noEngine,
    assertReady: (servers) => providers.assertReady(servers),
    localServers: localServerSearch(),
  });
}

/** What `/ready` asks of each stage. */
export function stageChecks(choice: ProviderChoice): Record<string, () => Promise<void>> {
  return Object.fromEntries(MODEL_STAGES.map((stage) => [stage, () => choice.check(stage)]));
}

/** What the setup form of a conversation begins with. */
export function pageDefaults(config: Config, choice: ProviderChoice) {
  return {
    systemPrompt: config.systemPrompt,
    ...(config.greeting === undefined ? {} : { greeting: config.greeting }),
    ...choice.defaults(),
  };
}
