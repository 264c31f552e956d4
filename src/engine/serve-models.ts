import type { Logger } from "pino";
import type { LocalModel } from "../domain/model.ts";
import { Failure, messageOf } from "../errors.ts";
import { once } from "../lib/once.ts";
import { createHearing } from "./hearing.ts";
import { languageModelLoader } from "./language-model.ts";
import { loadFailure } from "./load-failure.ts";
import { LoadedModels } from "./loaded-models.ts";
import { checkModelFiles } from "./model-files.ts";
import { loadRecogniser } from "./recogniser.ts";
import { type EngineServer, serveEngine } from "./server.ts";
import { loadSherpa } from "./sherpa.ts";
import { loadVoice } from "./voice.ts";

export interface ServeOptions {
  host: string;
  port: number;
  apiKey: string | undefined;
  models: readonly LocalModel[];
  /** Path of silero's model, which tells speech from silence; asked for when it is needed. */
  vadModel: () => Promise<string>;
  logger: Logger;
  supervised: boolean;
}

/** The engine in this process: nothing is loaded before it is needed. */
export function serveModels(options: ServeOptions): EngineServer {
  const { logger } = options;
  const loadLanguageModel = languageModelLoader();
  const models = new LoadedModels({
    load: {
      stt: (model) => checked(model, async () => loadRecogniser(await loadSherpa(), model)),
      llm: (model) => checked(model, () => loadLanguageModel(model)),
      tts: (model) => checked(model, async () => loadVoice(await loadSherpa(), model)),
    },
    // The program that supervises the engine reads these.
    onLoad: (event, { id }) => logger.info({ event, model: id }, `${event} ${id}`),
  });
  models.use(options.models);
  const hearing = once(async () => createHearing(await loadSherpa(), await options.vadModel()));
  const server = serveEngine({ ...options, models, hearing });
  return {
    url: server.url,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await models[Symbol.asyncDispose]();
    },
  };
}

/** Loads a model whose files are sound, and tells in a Failure what its library says of it. */
async function checked<T>(model: LocalModel, load: () => Promise<T>): Promise<T> {
  await checkModelFiles(model);
  try {
    return await load();
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure("unavailable", loadFailure(model, messageOf(error)), { cause: error });
  }
}
