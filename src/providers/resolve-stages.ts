import type { Config, ProviderConfig, Stages } from "../config.ts";
import type { LocalModel, ModelStage } from "../domain/model.ts";
import type { ProviderSettings, StageChoice } from "../domain/provider.ts";

export const OPENAI_URL = "https://api.openai.com/v1";

/** The part of the configuration that decides who serves the stages. */
export type StageConfig = Stages & Pick<Config, "fixedBy" | "modelPaths">;

/** Who serves a stage: a variable decides before what is stored, and else it is OpenAI. */
export function choiceOf(
  config: StageConfig,
  settings: ProviderSettings,
  stage: ModelStage,
): StageChoice | { use: "environment" } | { use: "path"; path: string } {
  const path = config.modelPaths[stage];
  if (path !== undefined) return { use: "path", path };
  if (config.fixedBy[stage] !== undefined) return { use: "environment" };
  return settings.stages[stage] ?? { use: "openai" };
}

/** The server of a stage that does not run on this machine. */
export function remoteProvider(
  config: StageConfig,
  settings: ProviderSettings,
  stage: ModelStage,
): Omit<ProviderConfig, "model"> {
  const choice = choiceOf(config, settings, stage);
  if (choice.use === "openai") return { baseURL: OPENAI_URL, apiKey: settings.openai_api_key };
  if (choice.use === "endpoint") return { baseURL: choice.base_url, apiKey: choice.api_key };
  const { baseURL, apiKey } = config[stage];
  return { baseURL, apiKey };
}

/** Models that run on this machine, by stage. */
export type LocalModels = Partial<Record<ModelStage, LocalModel>>;

/**
 * The stages as a session uses them.
 *
 * @param local models of the stages that this machine serves
 * @param engine what serves these
 */
export function resolveStages(
  config: StageConfig,
  settings: ProviderSettings,
  local: LocalModels,
  engine: { baseURL: string; apiKey: string },
): Stages {
  const server = (stage: ModelStage) => {
    const model = local[stage];
    if (model) return { baseURL: engine.baseURL, apiKey: engine.apiKey, isEngine: true };
    return remoteProvider(config, settings, stage);
  };
  const chosen = (stage: ModelStage) => {
    const choice = choiceOf(config, settings, stage);
    return choice.use === "endpoint" ? choice : undefined;
  };
  const { stt, llm, tts } = config;
  return {
    stt: {
      ...server("stt"),
      model: local.stt?.id ?? chosen("stt")?.model ?? stt.model,
      realtime: local.stt ? true : stt.realtime,
    },
    llm: { ...server("llm"), model: local.llm?.id ?? chosen("llm")?.model ?? llm.model },
    tts: {
      ...server("tts"),
      model: local.tts?.id ?? chosen("tts")?.model ?? tts.model,
      voice: chosen("tts")?.voice ?? tts.voice,
    },
  };
}
