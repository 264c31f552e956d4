import type { LocalModel } from "../domain/model.ts";
import type { ProviderSettings, StageChoice } from "../domain/provider.ts";
import {
  OPENAI_URL,
  type ProviderEndpoint,
  type SpeechToSpeechProvider,
  type Stage,
  type StageProviders,
} from "../domain/stage.ts";

/** The part of the configuration that decides who serves the stages. */
export interface StageConfig extends StageProviders {
  /** The environment variable that decides a stage; undefined: the stored settings do. */
  fixedBy: Readonly<Record<Stage, string | undefined>>;
  speechToSpeech: SpeechToSpeechProvider;
  /** Local files that the environment names for a stage. */
  modelPaths: Readonly<Record<Stage, string | undefined>>;
}

/** Who serves a stage: the environment comes first, then what is stored, and OpenAI otherwise. */
export function choiceOf(
  config: StageConfig,
  settings: ProviderSettings,
  stage: Stage,
): StageChoice | { use: "environment" } | { use: "path"; path: string } {
  const path = config.modelPaths[stage];
  if (path !== undefined) return { use: "path", path };
  if (config.fixedBy[stage] !== undefined) return { use: "environment" };
  return settings.stages[stage] ?? { use: "openai" };
}

/** The server of a stage without a local model. */
export function remoteProvider(
  config: StageConfig,
  settings: ProviderSettings,
  stage: Stage,
): ProviderEndpoint {
  const choice = choiceOf(config, settings, stage);
  if (choice.use === "openai") return { baseURL: OPENAI_URL, apiKey: settings.openai_api_key };
  if (choice.use === "endpoint") return { baseURL: choice.base_url, apiKey: choice.api_key };
  const { baseURL, apiKey } = config[stage];
  return { baseURL, apiKey, fixedBy: config.fixedBy[stage] };
}

/** Local models by stage. */
export type LocalModels = Partial<Record<Stage, LocalModel>>;

/**
 * The stages as a session uses them.
 *
 * @param local the local models
 * @param engine the server of the local models
 */
export function resolveStages(
  config: StageConfig,
  settings: ProviderSettings,
  local: LocalModels,
  engine: { baseURL: string; apiKey: string },
): StageProviders {
  const server = (stage: Stage) => {
    const model = local[stage];
    if (model)
      return {
        baseURL: engine.baseURL,
        apiKey: engine.apiKey,
        isEngine: true,
        fixedBy: config.fixedBy[stage],
      };
    return remoteProvider(config, settings, stage);
  };
  const chosen = (stage: Stage) => {
    const choice = choiceOf(config, settings, stage);
    return choice.use === "endpoint" ? choice : undefined;
  };
  const { stt, llm, tts } = config;
  return {
    stt: {
      ...server("stt"),
      model: local.stt?.id ?? chosen("stt")?.model ?? stt.model,
      realtime: local.stt ? true : (chosen("stt")?.realtime ?? stt.realtime),
    },
    llm: {
      ...server("llm"),
      model: local.llm?.id ?? chosen("llm")?.model ?? llm.model,
      thinking: llm.thinking,
      prepares: llm.prepares,
    },
    tts: {
      ...server("tts"),
      model: local.tts?.id ?? chosen("tts")?.model ?? tts.model,
      voice: chosen("tts")?.voice ?? tts.voice,
    },
  };
}
