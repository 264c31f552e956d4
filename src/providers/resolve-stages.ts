import type { LocalModel, ModelServer } from "../domain/model.ts";
import type { ProviderSettings, StageChoice } from "../domain/provider.ts";
import {
  OPENAI_DEFAULTS,
  OPENAI_URL,
  type ProviderEndpoint,
  type SecondProviders,
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
  /** The second providers that variables name, and the same of them. */
  seconds: SecondProviders;
  fallbackFixedBy: Readonly<Record<Stage, string | undefined>>;
  fallbackPaths: Readonly<Record<Stage, string | undefined>>;
}

/** What was chosen to serve a stage: on the page, by variables, or by a file that one names. */
export type ProviderPick = StageChoice | { use: "environment" } | { use: "path"; path: string };

/** Who serves a stage: the environment comes first, then what is stored, and OpenAI otherwise. */
export function choiceOf(
  config: StageConfig,
  settings: ProviderSettings,
  stage: Stage,
): ProviderPick {
  const path = config.modelPaths[stage];
  if (path !== undefined) return { use: "path", path };
  if (config.fixedBy[stage] !== undefined) return { use: "environment" };
  return settings.stages[stage] ?? { use: "openai" };
}

/** What takes over when the provider of a stage fails; undefined: nothing. */
export function secondChoiceOf(
  config: StageConfig,
  settings: ProviderSettings,
  stage: Stage,
): ProviderPick | undefined {
  const path = config.fallbackPaths[stage];
  if (path !== undefined) return { use: "path", path };
  if (config.fallbackFixedBy[stage] !== undefined) return { use: "environment" };
  return settings.fallbacks?.[stage];
}

/** The server of a stage without a local model. */
function remoteProvider(
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

/** The server that takes over for a stage; undefined if none does, or a local model. */
function remoteSecond(
  config: StageConfig,
  settings: ProviderSettings,
  stage: Stage,
): ProviderEndpoint | undefined {
  const choice = secondChoiceOf(config, settings, stage);
  if (choice?.use === "openai") return { baseURL: OPENAI_URL, apiKey: settings.openai_api_key };
  if (choice?.use === "endpoint") return { baseURL: choice.base_url, apiKey: choice.api_key };
  const named = choice?.use === "environment" ? config.seconds[stage] : undefined;
  if (named === undefined) return undefined;
  const { baseURL, apiKey } = named;
  return { baseURL, apiKey, fixedBy: config.fallbackFixedBy[stage] };
}

/** The voice of the first provider. One that was meant for a server is none of a local model's. */
function voiceOf(config: StageConfig, settings: ProviderSettings): string {
  const choice = choiceOf(config, settings, "tts");
  if (choice.use === "local") return choice.voice ?? OPENAI_DEFAULTS.voice;
  return (choice.use === "endpoint" ? choice.voice : undefined) ?? config.tts.voice;
}

/** Local models by stage. */
export type LocalModels = Partial<Record<Stage, LocalModel>>;

/**
 * The stages as a session uses them.
 *
 * @param local the local models, and those that take over
 * @param serverOf the server of a stage's local models
 */
export function resolveStages(
  config: StageConfig,
  settings: ProviderSettings,
  local: { first: LocalModels; second: LocalModels },
  serverOf: (stage: Stage) => ModelServer,
): StageProviders {
  const ownEngine = (stage: Stage) => ({ ...serverOf(stage), isEngine: true });
  const server = (stage: Stage) => {
    if (local.first[stage]) return { ...ownEngine(stage), fixedBy: config.fixedBy[stage] };
    return remoteProvider(config, settings, stage);
  };
  const secondServer = (stage: Stage) => {
    if (local.second[stage]) return { ...ownEngine(stage), fixedBy: config.fallbackFixedBy[stage] };
    return remoteSecond(config, settings, stage);
  };
  const chosen = (stage: Stage) => {
    const choice = choiceOf(config, settings, stage);
    return choice.use === "endpoint" ? choice : undefined;
  };
  const secondChosen = (stage: Stage) => {
    const choice = secondChoiceOf(config, settings, stage);
    return choice?.use === "endpoint" ? choice : undefined;
  };
  const { stt, llm, tts, seconds } = config;
  const [sttSecond, llmSecond, ttsSecond] = [
    secondServer("stt"),
    secondServer("llm"),
    secondServer("tts"),
  ];
  const { first, second } = local;
  return {
    stt: {
      ...server("stt"),
      model: first.stt?.id ?? chosen("stt")?.model ?? stt.model,
      realtime: first.stt ? true : (chosen("stt")?.realtime ?? stt.realtime),
      fallback: sttSecond && {
        ...sttSecond,
        model: second.stt?.id ?? secondChosen("stt")?.model ?? seconds.stt?.model,
        realtime: false,
      },
    },
    llm: {
      ...server("llm"),
      model: first.llm?.id ?? chosen("llm")?.model ?? llm.model,
      thinking: llm.thinking,
      prepares: llm.prepares,
      fallback: llmSecond && {
        ...llmSecond,
        model:
          second.llm?.id ?? secondChosen("llm")?.model ?? seconds.llm?.model ?? OPENAI_DEFAULTS.llm,
      },
    },
    tts: {
      ...server("tts"),
      model: first.tts?.id ?? chosen("tts")?.model ?? tts.model,
      voice: voiceOf(config, settings),
      fallback: ttsSecond && {
        ...ttsSecond,
        model:
          second.tts?.id ?? secondChosen("tts")?.model ?? seconds.tts?.model ?? OPENAI_DEFAULTS.tts,
        voice: secondChosen("tts")?.voice ?? seconds.tts?.voice ?? OPENAI_DEFAULTS.voice,
      },
    },
  };
}
