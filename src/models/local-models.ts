import { join } from "node:path";
import type { Logger } from "pino";
import type { ProviderSettingsService } from "../domain/provider.ts";
import { Failure } from "../errors.ts";
import { catalogSource } from "./catalog.ts";
import { ModelLibrary } from "./model-library.ts";
import { NO_ENGINE } from "./no-engine.ts";
import { RecommendedSetup } from "./offline-setup.ts";
import { thisMachine } from "./recommend.ts";

export interface LocalModelsOptions {
  dataDir: string;
  /** Another catalogue, as a path or a URL; undefined: the built-in one. */
  modelsCatalog: string | undefined;
  /** Told to use the recommended models once they are downloaded. */
  providers: Pick<ProviderSettingsService, "overview" | "useLocal">;
  /** Whether this program can run local models; without an engine the catalogue is refused. */
  hasEngine: boolean;
  logger: Pick<Logger, "info" | "warn" | "error">;
}

/** The local models with their downloads, and the setup that uses the recommended ones. */
export function openLocalModels(options: LocalModelsOptions) {
  const { dataDir, modelsCatalog, providers, hasEngine, logger } = options;
  const opened = new AsyncDisposableStack();
  const models = opened.use(
    new ModelLibrary({
      folder: join(dataDir, "models"),
      catalog: hasEngine ? catalogSource(modelsCatalog) : noCatalog,
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
