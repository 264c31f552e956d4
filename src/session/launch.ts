import type { Logger } from "pino";
import type { Agent, AgentStack } from "../agent/agent-stack.ts";
import { CannotJoin } from "../agent/cannot-join.ts";
import type { EndReason } from "../domain/session.ts";
import type { Stage } from "../domain/stage.ts";
import type { RoomLeases } from "../domain/stores.ts";
import type { Notice } from "../domain/transcript.ts";
import { Failure } from "../errors.ts";
import { DeadlineExceeded, untilAborted, withDeadline } from "../lib/deadline.ts";
import type { ProviderCheck } from "../providers/provider-check.ts";
import { agentModels, noticeOf, wished } from "./agent-models.ts";
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
  leases: RoomLeases;
  providers: Pick<ProviderCheck, "settleAll" | "answersRealtime" | "realtimeFailed">;
  languagesOf: LanguagesOf;
  logger: Logger;
  /** The agent can no longer go on. */
  onEnd(live: LiveSession, reason: EndReason): void;
}

/** How long each step of a start may take, in ms. */
const LEASE_MS = 5000;
/** Local models may come from a slow disk. */
const MODELS_MS = 120_000;
const LIVEKIT_READY_MS = 15_000;
/** Names of models are looked up, and realtime transcription is tried. */
const PROVIDERS_MS = 30_000;
/** The agents library and WebRTC are unpacked and loaded. */
const STACK_MS = 60_000;
/** Joining has a deadline of its own; this one ends a start that hangs after it. */
const AGENT_MS = 30_000;

const SLOW_LEASE = "The room could not be reserved in time. Try again in a moment.";
const SLOW_MODELS = "The models on this machine took too long to load. Try again in a moment.";
const SLOW_PROVIDERS = "The providers took too long to answer. Try again in a moment.";
const SLOW_STACK = "The agent took too long to load. Try again in a moment.";
const SLOW_AGENT = "The agent took too long to start. Try again in a moment.";

/**
 * Takes the room and stores the new session, then brings its agent into the room; resolves once it
 * listens. Each step has a deadline. The caller closes what was opened, also after an abort by
 * `live.abort`.
 *
 * @throws Failure, the reason of the abort, or what was not expected
 */
export async function launch(live: LiveSession, options: LaunchOptions): Promise<void> {
  const { livekit, providers, stack, logger } = options;
  const { stages, abort, session: asked } = live;
  // A stop need not wait for any of these: each leaves nothing behind when it completes too late.
  const step = <T>(work: Promise<T>, ms: number, late: string) =>
    inTime(untilAborted(abort.signal, work), ms, late);
  await takeRoom(live, options);
  live.begin();
  const { llm_model: model, voice } = asked;
  await step(stages.ready({ model, voice }), MODELS_MS, SLOW_MODELS);
  const notices: Notice[] = [];
  const onSecond = (stage: Stage, error: unknown) =>
    notices.push(...noticeOf(stages, stage, error));
  const settled = async () =>
    stages.realtimeModel ? stages : providers.settleAll(wished(live), onSecond);
  const reachable = livekit.ready().catch((error: unknown) => {
    throw noLiveKit(livekit, error);
  });
  const [served] = await Promise.all([
    step(settled(), PROVIDERS_MS, SLOW_PROVIDERS),
    step(reachable, LIVEKIT_READY_MS, noLiveKit(livekit).message),
  ]);
  const loaded = await step(stack().catch(cannotLoad), STACK_MS, SLOW_STACK);
  const models = await step(agentModels(live, served, options), PROVIDERS_MS, SLOW_PROVIDERS);
  const { session } = live;
  const token = await options.token(session.room, live.agentIdentity).catch(cannotSign);
  const starting = loaded.start(
    {
      url: livekit.url,
      token,
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
  live.agent = await inRoom(starting, livekit);
  abort.signal.throwIfAborted();
  live.noteActivity();
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

/**
 * What to answer when a session could not start: a Failure that says what to do, or, for a defect,
 * an error with its context, which the caller logs.
 */
export function startFailure(
  error: unknown,
  { id }: LiveSession,
  { logger }: Pick<LaunchOptions, "logger">,
): Error {
  if (error instanceof EndedWhileStarting) {
    return error.reason === "stopped"
      ? new Failure("conflict", "The conversation was stopped while it was starting.")
      : new Failure("unavailable", whyEnded(error.reason));
  }
  if (!(error instanceof Failure)) {
    return new Error(`the session ${id} could not start`, { cause: error });
  }
  logger.warn({ err: error, session_id: id }, "a session could not start");
  return error;
}

/** @throws Failure `unavailable` with the message `late` after `ms` */
async function inTime<T>(work: Promise<T>, ms: number, late: string): Promise<T> {
  try {
    return await withDeadline(work, ms, late);
  } catch (error) {
    if (!(error instanceof DeadlineExceeded)) throw error;
    throw new Failure("unavailable", late, { cause: error });
  }
}

/** Reserves the room among all Parleys on this LiveKit. */
async function takeRoom(live: LiveSession, { leases, onEnd }: LaunchOptions): Promise<void> {
  const taken = leases.acquire(live.session.room, live.id, () => onEnd(live, "room_taken"));
  try {
    live.lease = await inTime(untilAborted(live.abort.signal, taken), LEASE_MS, SLOW_LEASE);
  } catch (error) {
    taken.then((lease) => lease[Symbol.asyncDispose]()).catch(() => {});
    throw error;
  }
}

/** The agent, once it is in its room and listens. One that comes too late is closed again. */
async function inRoom(starting: Promise<Agent>, livekit: LaunchOptions["livekit"]): Promise<Agent> {
  try {
    return await inTime(starting, AGENT_MS, SLOW_AGENT);
  } catch (error) {
    starting.then((agent) => agent.close()).catch(() => {});
    throw error instanceof CannotJoin ? noLiveKit(livekit, error) : error;
  }
}

/** The message of a Failure is kept, since LiveKit's own server knows best why it cannot start. */
function noLiveKit({ url, hint }: LaunchOptions["livekit"], cause?: unknown): Failure {
  if (cause instanceof Failure) return cause;
  const message = `The agent could not join the room: LiveKit at ${url} does not answer. ${hint}`;
  return new Failure("unavailable", message, { cause });
}

function cannotLoad(cause: unknown): never {
  throw new Failure(
    "unavailable",
    "The agent's libraries could not be loaded, so no conversation can start. The log says why.",
    { cause },
  );
}

function cannotSign(cause: unknown): never {
  throw new Failure(
    "unavailable",
    "The agent's token for LiveKit could not be signed. Check LIVEKIT_API_KEY and LIVEKIT_API_SECRET.",
    { cause },
  );
}
