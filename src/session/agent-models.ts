import type { Logger } from "pino";
import type { AgentModels } from "../agent/running-agent.ts";
import { recogniserCode } from "../domain/language.ts";
import type { Session } from "../domain/session.ts";
import { type Stage, type StageProviders, sttModelFor } from "../domain/stage.ts";
import type { Notice } from "../domain/transcript.ts";
import { Failure } from "../errors.ts";
import type { ProviderCheck } from "../providers/provider-check.ts";
import { fallbackNotice } from "../providers/provider-errors.ts";
import { type RequestedChoice, sourceOf } from "../providers/provider-source.ts";
import type { LiveSession } from "./live-session.ts";

export interface AgentModelsOptions {
  providers: Pick<ProviderCheck, "settleAll" | "answersRealtime" | "realtimeFailed">;
  logger: Logger;
}

/** What serves the agent; the record of the session gets the names. */
export async function agentModels(
  live: LiveSession,
  served: StageProviders,
  options: AgentModelsOptions,
): Promise<AgentModels> {
  const { stages, session: asked } = live;
  if (stages.realtimeModel) {
    const { llm_model: model, voice, language, keyterms } = asked;
    return { speechToSpeech: { ...stages.realtimeModel, model, voice, language, keyterms } };
  }
  const realtime = await usesRealtime(served.stt, live.id, options);
  live.change({
    stt_model: sttModelFor(served.stt, realtime),
    llm_model: served.llm.model,
    tts_model: served.tts.model,
    voice: served.tts.voice,
  });
  const onSwitch = (why: string) => realtimeFailed(live, served.stt, why, options);
  const configured = asConfigured(served, stages, asked);
  return { pipeline: pipelineOf(live.session, configured, realtime, onSwitch) };
}

/** What to tell when the second provider of a stage serves from the start. */
export function noticeOf(stages: StageProviders, stage: Stage, error: unknown): Notice[] {
  const { fallback } = stages[stage];
  if (fallback === undefined) return [];
  const why = error instanceof Failure ? error.cause : error;
  return [fallbackNotice(stage, sourceOf(stage, stages[stage]), sourceOf(stage, fallback), why)];
}

/** The stages with the names that the conversation asks for. */
export function wished({ session, stages }: LiveSession): StageProviders {
  const { stt, llm, tts } = stages;
  return {
    stt,
    llm: { ...llm, model: session.llm_model },
    tts: { ...tts, voice: session.voice },
  };
}

/**
 * The stages with the names of the settings where the conversation asked for its own, so that
 * messages tell which of them to change.
 */
function asConfigured(
  served: StageProviders,
  { llm, tts }: StageProviders,
  asked: Session,
): StageProviders {
  return {
    ...served,
    llm: { ...served.llm, ...(asked.llm_model !== llm.model && { model: llm.model }) },
    tts: { ...served.tts, ...(asked.voice !== tts.voice && { voice: tts.voice }) },
  };
}

async function usesRealtime(
  stt: StageProviders["stt"],
  session_id: string,
  { providers, logger }: AgentModelsOptions,
): Promise<boolean> {
  if (stt.realtime !== "auto") return stt.realtime;
  const onRefusal = (why: string) =>
    logger.info(
      { session_id },
      `speech is recognised by requests and not in realtime, because the server ${why}`,
    );
  return providers.answersRealtime({ stage: "stt", ...stt }, sttModelFor(stt, true), onRefusal);
}

/** Notes that a session's speech is recognised by requests from now on. */
function realtimeFailed(
  live: LiveSession,
  stt: StageProviders["stt"],
  why: string,
  { providers, logger }: AgentModelsOptions,
): void {
  providers.realtimeFailed({ stage: "stt", ...stt }, sttModelFor(stt, true));
  live.change({ stt_model: sttModelFor(stt, false) });
  logger.warn(
    { session_id: live.id },
    `speech is recognised by requests, because realtime transcription failed: ${why}`,
  );
}

function pipelineOf(
  session: Session,
  { stt, llm, tts }: StageProviders,
  realtime: boolean,
  onSwitch: (why: string) => void,
) {
  const { stt_model, llm_model, tts_model, language, keyterms, voice } = session;
  return {
    language: language && recogniserCode(language),
    keyterms,
    stt: {
      ...requestOptions("stt", stt, session, { model: stt_model }),
      model: stt_model,
      realtime,
      requests: stt.realtime === "auto" ? { model: sttModelFor(stt, false), onSwitch } : undefined,
      fallback: stt.fallback && {
        ...requestOptions("stt", stt.fallback, session),
        model: sttModelFor(stt.fallback, false),
        realtime: false,
      },
    },
    llm: {
      ...requestOptions("llm", llm, session, { model: llm_model }),
      model: llm_model,
      fallback: llm.fallback && requestOptions("llm", llm.fallback, session),
    },
    tts: {
      ...requestOptions("tts", tts, session, { voice }),
      model: tts_model,
      voice,
      fallback: tts.fallback && requestOptions("tts", tts.fallback, session),
    },
  };
}

/** How the agent reaches a provider. @param requested what the conversation itself chose */
function requestOptions<T extends Parameters<typeof sourceOf>[1]>(
  stage: Stage,
  provider: T,
  { id }: Session,
  requested?: RequestedChoice,
) {
  const { isEngine, fixedBy: _, ...options } = provider;
  const source = sourceOf(stage, provider, requested);
  // The engine shares its time between conversations and keeps the state of each, by this header.
  const headers = isEngine ? { "X-Client-Id": id } : undefined;
  return { ...options, source, headers };
}
