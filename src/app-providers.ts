import { join } from "node:path";
import type { Logger } from "pino";
import type { ProviderCheck } from "./agent/provider-check.ts";
import type { Config } from "./config.ts";
import type { Engine, LocalModel } from "./domain/model.ts";
import { catalogSource } from "./models/catalog.ts";
import { downloadedModel } from "./models/model-folder.ts";
import { ModelLibrary } from "./models/model-library.ts";
import { thisMachine } from "./models/recommend.ts";
import { resolveModel } from "./models/resolve-model.ts";
import { localServerSearch } from "./providers/local-servers.ts";
import { noEngine } from "./providers/no-engine.ts";
import { ProviderChoice } from "./providers/provider-choice.ts";

/** Parts that can be put in place of Parley's own. */
export interface AppParts {
  /** What serves models on this machine; made when a session first needs it. */
  createEngine?: (models: readonly LocalModel[]) => Engine;
}

/** The models of this machine and their downloads. */
export function openModels(config: Config, logger: Logger): ModelLibrary {
  return new ModelLibrary({
    folder: join(config.dataDir, "models"),
    catalog: catalogSource(config.modelsCatalog),
    machine: thisMachine(),
    logger,
  });
}

/** Who serves each stage, as the environment and the stored settings say. @throws Failure */
export function openChoice(
  config: Config,
  providers: ProviderCheck,
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

/** What the setup form of a conversation begins with. */
export function pageDefaults(config: Config, choice: ProviderChoice) {
  return {
    systemPrompt: config.systemPrompt,
    ...(config.greeting === undefined ? {} : { greeting: config.greeting }),
    ...choice.defaults(),
  };
}
