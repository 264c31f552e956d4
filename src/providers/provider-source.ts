import { isOpenAi, type Stage, type StageProvider } from "../domain/stage.ts";

/** What a provider's failure may name: who the provider is, and where that can be changed. */
export interface ProviderSource {
  /** As people call it: "OpenAI", "this machine", or the host. */
  server: string;
  model: string | undefined;
  voice?: string | undefined;
  hasKey: boolean;
  isEngine?: boolean | undefined;
  /** Where each setting is: the name of an environment variable, or a place on a page. */
  places: Readonly<Record<Setting, string>>;
  /** Whether the stage has worked before in this conversation. */
  hasWorked?: boolean;
}

export type Setting = "address" | "key" | "model" | "voice";

/** What a conversation's request chose in the place of the settings. */
export interface RequestedChoice {
  model?: string | undefined;
  voice?: string | undefined;
}

type Provider = Omit<StageProvider, "model"> & {
  model?: string | undefined;
  voice?: string | undefined;
};

/** Describes a provider for messages. @param requested what the conversation itself chose */
export function sourceOf(
  stage: Stage,
  provider: Provider,
  requested: RequestedChoice = {},
): ProviderSource {
  const { baseURL, apiKey, isEngine, model, voice } = provider;
  const places = placesOf(stage, provider.fixedBy);
  const changes = (asked: string | undefined, configured: string | undefined) =>
    asked !== undefined && asked !== configured;
  const here = "the conversation's settings";
  return {
    server: serverName(baseURL, isEngine),
    model: requested.model ?? model,
    voice: requested.voice ?? voice,
    hasKey: apiKey !== undefined,
    isEngine,
    places: {
      ...places,
      ...(changes(requested.model, model) ? { model: here } : {}),
      ...(changes(requested.voice, voice) ? { voice: here } : {}),
    },
  };
}

/** What people call a server. */
function serverName(baseURL: string, isEngine = false): string {
  if (isEngine) return "this machine";
  return isOpenAi(baseURL) ? "OpenAI" : new URL(baseURL).host;
}

/** @param fixedBy the environment variable that decides the provider */
function placesOf(stage: Stage, fixedBy: string | undefined): ProviderSource["places"] {
  const page = "the Models page";
  if (fixedBy === undefined) return { address: page, key: page, model: page, voice: page };
  // `LLM_FALLBACK_API_KEY` decides the second provider, and `OPENAI_BASE_URL` several stages.
  const [prefix = ""] = /^(?:OPENAI|[A-Z]+_FALLBACK|[A-Z]+)(?=_)/.exec(fixedBy) ?? [];
  const own = prefix === "OPENAI" ? stage.toUpperCase() : prefix;
  return {
    address: fixedBy.endsWith("_BASE_URL") ? fixedBy : `${prefix}_BASE_URL`,
    key: `${prefix}_API_KEY`,
    model: `${own}_MODEL`,
    voice: `${own}_VOICE`,
  };
}

/** For failures of a provider about which nothing is known. */
export function unknownSource(stage: Stage): ProviderSource {
  const name = stage.toUpperCase();
  const either = (variable: string, general: string) => `${variable} or ${general}`;
  return {
    server: "the provider",
    model: undefined,
    hasKey: true,
    places: {
      address: either(`${name}_BASE_URL`, "OPENAI_BASE_URL"),
      key: either(`${name}_API_KEY`, "OPENAI_API_KEY"),
      model: `${name}_MODEL`,
      voice: `${name}_VOICE`,
    },
  };
}
