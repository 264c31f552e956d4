import { AUTOMATIC, languageName } from "../domain/language.ts";
import {
  DEFAULT_SYSTEM_PROMPT,
  type SessionRequest,
  type SessionSettings,
} from "../domain/session.ts";
import { type StageProviders, sttModelFor } from "../domain/stage.ts";
import type { StageLease } from "../providers/provider-choice.ts";

/** What a session uses where its request does not say. */
export interface SessionDefaults {
  systemPrompt: string;
  greeting: string | undefined;
  language: string | null;
  keyterms: readonly string[];
}

/** The settings of a new session: what was requested, else what is configured. */
export function sessionPlan(
  defaults: StageProviders & SessionDefaults & Pick<StageLease, "realtimeModel">,
  request: SessionRequest,
): SessionSettings {
  const { stt, llm, tts, realtimeModel } = defaults;
  const language = request.language ?? defaults.language;
  const shared = {
    system_prompt: request.system_prompt ?? defaults.systemPrompt,
    greeting: request.greeting ?? defaults.greeting ?? null,
    language: language === AUTOMATIC ? null : language,
    keyterms: request.keyterms ?? defaults.keyterms,
  };
  if (realtimeModel) {
    const model = request.llm_model ?? realtimeModel.model;
    const voice = request.voice ?? realtimeModel.voice;
    return { ...shared, voice, stt_model: model, llm_model: model, tts_model: model };
  }
  return {
    ...shared,
    voice: request.voice ?? tts.voice,
    stt_model: sttModelFor(stt, stt.realtime !== false),
    llm_model: request.llm_model ?? llm.model,
    tts_model: tts.model,
  };
}

const BEGAN = "The conversation began on {{date}} at {{time}} ({{timezone}}).";

/**
 * The instructions that the language model gets. Parley's own end with the date and the language
 * to answer in; others stay as they are, since they may ask for another language, as an
 * interpreter's do. `{{date}}`, `{{time}}` and `{{timezone}}` are filled in once for a
 * conversation, because local models read everything again after a word that has changed.
 *
 * @param began when the conversation began
 */
export function instructionsFor(
  { system_prompt, language }: Pick<SessionSettings, "system_prompt" | "language">,
  began: Date = new Date(),
): string {
  if (system_prompt !== DEFAULT_SYSTEM_PROMPT) return withDate(system_prompt, began);
  const wanted = language === null ? "the language that the person speaks" : languageName(language);
  return withDate(`${system_prompt} ${BEGAN} Answer in ${wanted}.`, began);
}

function withDate(prompt: string, at: Date): string {
  const written = (options: Intl.DateTimeFormatOptions) =>
    new Intl.DateTimeFormat("en-GB", options).format(at);
  const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
  const offset = written({ timeZoneName: "longOffset" }).split(" ").at(-1);
  return prompt
    .replaceAll("{{date}}", written({ dateStyle: "full" }))
    .replaceAll("{{time}}", written({ timeStyle: "short" }))
    .replaceAll("{{timezone}}", `${timeZone}, ${offset}`);
}
