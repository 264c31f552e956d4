import type { LocalModel } from "../domain/model.ts";
import type { ProviderOverview, ProviderSettings, StageOverview } from "../domain/provider.ts";
import { OPENAI_URL, type Stage, type StageProviders } from "../domain/stage.ts";
import { messageOf } from "../errors.ts";
import type { ProviderServers } from "./provider-servers.ts";
import { choiceOf, type ProviderPick, type StageConfig, secondChoiceOf } from "./resolve-stages.ts";
import { type Wish, withoutGuesses } from "./settle-names.ts";

/** What an overview is made from. */
interface Known {
  config: StageConfig;
  settings: ProviderSettings;
  /** The stages as other servers serve them. */
  remote: StageProviders;
  servers: Pick<ProviderServers, "settled">;
  /** Finds the local model of a choice, if it is one. @throws Failure when its files are missing */
  modelOf(stage: Stage, pick: ProviderPick): LocalModel | undefined;
}

/** What serves a stage and what takes over for it, as pages show it. */
export function overviewOf(stage: Stage, known: Known): StageOverview {
  const { config, settings, remote } = known;
  const pick = secondChoiceOf(config, settings, stage);
  const second = pick && describe(stage, pick, remote[stage].fallback, known);
  return {
    stage,
    fixedBy: config.fixedBy[stage],
    ...describe(stage, choiceOf(config, settings, stage), remote[stage], known),
    second: second && { fixedBy: config.fallbackFixedBy[stage], ...second },
  };
}

function describe(
  stage: Stage,
  pick: ProviderPick,
  provider: Wish | undefined,
  known: Known,
): Omit<ProviderOverview, "fixedBy"> {
  if (pick.use === "path" || pick.use === "local" || provider === undefined) {
    const local = tryLocal(stage, pick, known);
    const voice = pick.use === "local" ? pick.voice : undefined;
    return { use: "local", baseURL: undefined, voice, hasKey: false, ...local };
  }
  const { apiKey, baseURL } = provider;
  const usesOpenAi = baseURL === OPENAI_URL;
  // Where nothing was chosen and the server has not been asked, OpenAI's names are a guess.
  const found: Wish =
    known.servers.settled(stage, provider) ??
    (pick.use === "endpoint"
      ? { baseURL, apiKey, model: pick.model, voice: pick.voice }
      : withoutGuesses(stage, provider));
  return {
    use: usesOpenAi ? "openai" : "endpoint",
    baseURL: found.baseURL,
    model: found.model,
    voice: found.voice,
    realtime: pick.use === "endpoint" ? pick.realtime : undefined,
    hasKey: apiKey !== undefined,
    problem: usesOpenAi && apiKey === undefined ? "No API key yet." : undefined,
  };
}

function tryLocal(
  stage: Stage,
  pick: ProviderPick,
  { modelOf }: Known,
): Pick<ProviderOverview, "model" | "problem"> {
  const name = pick.use === "path" ? pick.path : "model" in pick ? pick.model : undefined;
  try {
    return { model: modelOf(stage, pick)?.id ?? name, problem: undefined };
  } catch (error) {
    return { model: name, problem: messageOf(error) };
  }
}
