import { join } from "node:path";
import type { Logger } from "pino";
import type { ProviderSettingsService } from "../domain/provider.ts";
import { Failure } from "../errors.ts";
import { catalogSource } from "./catalog.ts";
import type { HuggingFace } from "./hugging-face.ts";
import { type Machine, thisMachine } from "./machine.ts";
import { ModelLibrary } from "./model-library.ts";
import { NO_ENGINE } from "./no-engine.ts";
import { RecommendedSetup } from "./offline-setup.ts";

export interface LocalModelsOptions {
  dataDir: string;
  /** Another catalogue, as a path or a URL; undefined: the built-in one. */
  modelsCatalog: string | undefined;
  huggingFace?: HuggingFace | undefined;
  /** Told to use the recommended models once they are downloaded. */
  providers: Pick<ProviderSettingsService, "overview" | "useLocal">;
  /** Whether this program can run local models; without an engine the catalogue is refused. */
  hasEngine: boolean;
  /** The language that the environment sets; else each page's reader has their own. */
  language?: string | undefined;
  /** What recommendations follow; this machine by default. */
  machine?: (() => Promise<Machine>) | undefined;
  logger: Pick<Logger, "info" | "warn" | "error">;
}

/** The local models with their downloads, and the setup that uses the recommended ones. */
export function openLocalModels(options: LocalModelsOptions) {
  const { dataDir, modelsCatalog, huggingFace, providers, hasEngine, language, logger } = options;
  const folder = join(dataDir, "models");
  const opened = new AsyncDisposableStack();
  const models = opened.use(
    new ModelLibrary({
      folder,
      catalog: hasEngine ? catalogSource(modelsCatalog) : noCatalog,
      machine: options.machine ?? thisMachine(folder),
      language,
      huggingFace,
      logger,
    }),
  );
  const offline = opened.use(new RecommendedSetup({ models, providers, logger }));
  return { models, offline, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

async function noCatalog(): Promise<never> {
  throw new Failure("unavailable", NO_ENGINE);
}
