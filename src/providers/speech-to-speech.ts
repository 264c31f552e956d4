import type { ProviderSettings, SpeechToSpeechOverview } from "../domain/provider.ts";
import { isOpenAi, OPENAI_URL, type SpeechToSpeechProvider } from "../domain/stage.ts";

/**
 * Who serves speech to speech: the environment comes first, then what is stored, and OpenAI with
 * its key otherwise.
 */
export function speechToSpeechProvider(
  config: SpeechToSpeechProvider,
  settings: ProviderSettings,
): SpeechToSpeechProvider {
  if (config.fixedBy !== undefined) return config;
  const stored = settings.speech_to_speech;
  if (stored) {
    const { base_url, api_key, model, voice } = stored;
    return { baseURL: base_url, apiKey: api_key ?? openAiKey(base_url, settings), model, voice };
  }
  return { ...config, apiKey: config.apiKey ?? openAiKey(config.baseURL, settings) };
}

/** The stored OpenAI key, which goes to OpenAI only. */
function openAiKey(baseURL: string, settings: ProviderSettings): string | undefined {
  return baseURL === OPENAI_URL ? settings.openai_api_key : undefined;
}

/** The choice as pages show it. */
export function speechToSpeechOverview(
  config: SpeechToSpeechProvider,
  settings: ProviderSettings,
): SpeechToSpeechOverview {
  const { apiKey, ...shown } = speechToSpeechProvider(config, settings);
  const chosen = config.fixedBy !== undefined || settings.speech_to_speech !== undefined;
  const lacksKey = apiKey === undefined && isOpenAi(shown.baseURL);
  return {
    ...shown,
    chosen,
    fixedBy: shown.fixedBy,
    hasKey: apiKey !== undefined,
    problem: chosen && lacksKey ? "No API key yet." : undefined,
  };
}
