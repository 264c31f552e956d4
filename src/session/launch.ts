import type { Logger } from "pino";
import type { AgentStack } from "../agent/agent-stack.ts";
import type { AgentModels } from "../agent/running-agent.ts";
import { recogniserCode } from "../domain/language.ts";
import type { EndReason, Session } from "../domain/session.ts";
import { type Stage, type StageProviders, sttModelFor } from "../domain/stage.ts";
import type { Notice } from "../domain/transcript.ts";
import { Failure } from "../errors.ts";
import { untilAborted, withDeadline } from "../lib/deadline.ts";
import type { ProviderCheck } from "../providers/provider-check.ts";
import { fallbackNotice } from "../providers/provider-errors.ts";
import { type RequestedChoice, sourceOf } from "../providers/provider-source.ts";
import { EndedWhileStarting, whyEnded } from "./end.ts";
import { type LanguagesOf, languageNotice } from "./language-notice.ts";
import type { LiveSession } from "./live-session.ts";
import { instructionsFor } from "./session-plan.ts";

export interface LaunchOptions {
  /** Loads the agent stack; see `agent-stack.ts`. */
  stack(): Promise<AgentStack>;
  /** `hint` says what to do when agents cannot reach it. */
  livekit: { url: string; ready(): Promise<void>; hint: string };
  /** A token with which the agent joins a room. */
  token(room: string, identity: string): Promise<string>;
  providers: Pick<ProviderCheck, "settleAll" | "answersRealtime" | "realtimeFailed">;
  languagesOf: LanguagesOf;
  logger: Logger;
  /** The agent can no longer go on. */
  onEnd(live: LiveSession, reason: EndReason): void;
}

const LIVEKIT_READY_MS = 15_000;

/**
 * Brings the agent of a new session into its room; resolves once it listens. The caller closes
 * what was opened, also after an abort by `live.abort`.
 *
 * @throws Failure, or the reason of the abort
 */
export async function launch(live: LiveSession, options: LaunchOptions): Promise<void> {
  const { livekit, providers, stack, token, logger } = options;
  const { stages, abort, session: asked } = live;
  // A stop need not wait for any of these: each leaves nothing behind when it completes too late.
  const orAborted = <T>(work: Promise<T>) => untilAborted(abort.signal, work);
  const { llm_model: model, voice } = asked;
  await orAborted(stages.ready({ model, voice }));
  const notices: Notice[] = [];
  const onSecond = (stage: Stage, error: unknown) =>
    notices.push(...noticeOf(stages, stage, error));
  const ready = Promise.all([
    stages.realtimeModel ? stages : providers.settleAll(wished(live), onSecond),
    livekit.ready(),
  ]);
  const [served] = await withDeadline(orAborted(ready), LIVEKIT_READY_MS, "starting LiveKit");
  const loaded = await orAborted(stack().catch(cannotLoad));
  const models = await orAborted(agentModels(live, served, options));
  const { session } = live;
  live.agent = await loaded.start(
    {
      url: livekit.url,
      token: await token(session.room, live.agentIdentity),
      userIdentity: session.identity ?? undefined,
      instructions: instructionsFor(session),
      greeting: session.greeting,
      ...models,
      logger: logger.child({ session_id: live.id }),
      onSignal: (signal) => live.receive(signal),
      onUser: (user) => live.userChanged(user),
      onEnd: (reason) => options.onEnd(live, reason),
    },
    abort.signal,
  );
  abort.signal.throwIfAborted();
  live.publish({ type: "session", data: { state: "active" } });
  for (const notice of notices) live.receive({ kind: "notice", ...notice });
  logger.info({ session_id: live.id, room: session.room }, "session started");
  void tellLanguage(live, options);
}

/** Tells if local models do not know the language. The catalogue may be far away, so none waits. */
async function tellLanguage(live: LiveSession, { languagesOf, logger }: LaunchOptions) {
  try {
    const data = await languageNotice(live.session, live.stages, languagesOf);
    if (data && live.session.state === "active") live.publish({ type: "notice", data });
  } catch (error) {
    logger.warn({ err: error, session_id: live.id }, "the languages of the models are not known");
  }
}

/** What to answer when a session could not start; what was not expected is logged. */
export function startFailure(
  error: unknown,
  { livekit, logger }: Pick<LaunchOptions, "livekit" | "logger">,
): Failure {
  if (error instanceof Failure) {
    logger.warn({ err: error }, "a session could not start");
    return error;
  }
  if (error instanceof EndedWhileStarting) {
    return error.reason === "stopped"
      ? new Failure("conflict", "The conversation was stopped while it was starting.")
      : new Failure("unavailable", whyEnded(error.reason));
  }
  logger.error({ err: error }, "a session could not start");
  return new Failure(
    "unavailable",
    `The agent could not join the room: LiveKit at ${livekit.url} does not answer. ${livekit.hint}`,
    { cause: error },
  );
}

/** What serves the agent; the record of the session gets the names. */
async function agentModels(
  live: LiveSession,
  served: StageProviders,
  options: LaunchOptions,
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
function noticeOf(stages: StageProviders, stage: Stage, error: unknown): Notice[] {
  const { fallback } = stages[stage];
  if (fallback === undefined) return [];
  const why = error instanceof Failure ? error.cause : error;
  return [fallbackNotice(stage, sourceOf(stage, stages[stage]), sourceOf(stage, fallback), why)];
}

/** The stages with the names that the conversation asks for. */
function wished({ session, stages }: LiveSession): StageProviders {
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
  { providers, logger }: LaunchOptions,
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
  { providers, logger }: LaunchOptions,
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

function cannotLoad(cause: unknown): never {
  throw new Failure(
    "unavailable",
    "The agent's libraries could not be loaded, so no conversation can start. The log says why.",
    { cause },
  );
}
