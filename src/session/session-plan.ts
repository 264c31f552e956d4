import type { Config, Stages } from "../config.ts";
import type { SessionRequest, SessionSettings } from "../domain/session.ts";
import type { CheckedProvider } from "../providers/provider-check.ts";

/** OpenAI's transcription models: the one that streams while somebody speaks, and the other. */
const REALTIME_STT_MODEL = "gpt-realtime-whisper";
const UTTERANCE_STT_MODEL = "gpt-4o-mini-transcribe";

/** The settings of a new session: what was asked for, else what is configured. */
export function sessionPlan(
  config: Stages & Pick<Config, "systemPrompt" | "greeting">,
  request: SessionRequest,
): SessionSettings {
  return {
    system_prompt: request.system_prompt ?? config.systemPrompt,
    greeting: request.greeting ?? config.greeting ?? null,
    voice: request.voice ?? config.tts.voice,
    language: request.language ?? null,
    stt_model: sttModelFor(config.stt, config.stt.realtime !== false),
    llm_model: request.llm_model ?? config.llm.model,
    tts_model: config.tts.model,
  };
}

/** The model to transcribe with, which depends on the way the server is reached. */
export function sttModelFor(stt: Config["stt"], realtime: boolean): string {
  return stt.model ?? (realtime ? REALTIME_STT_MODEL : UTTERANCE_STT_MODEL);
}

/** The providers a session with these stages talks to. */
export function providersOf(config: Stages): CheckedProvider[] {
  return [
    { stage: "stt", baseURL: config.stt.baseURL, apiKey: config.stt.apiKey },
    { stage: "llm", baseURL: config.llm.baseURL, apiKey: config.llm.apiKey },
    { stage: "tts", baseURL: config.tts.baseURL, apiKey: config.tts.apiKey },
  ];
}
