import type { Logger } from "pino";
import type { EndReason } from "../domain/session.ts";
import type { LiveSession } from "./live-session.ts";

/** How long a person may be away, for a reload for example, before the session ends, in ms. */
const RETURN_MS = 15_000;

/** The limits after which a session ends by itself, in ms. */
export interface SessionLimits {
  sessionMaxMs: number;
  sessionIdleMs: number;
}

/** Thrown into a start that is stopped. */
export class EndedWhileStarting extends Error {
  override readonly name = "EndedWhileStarting";
  readonly reason: EndReason;

  constructor(reason: EndReason) {
    super(`ended while starting: ${reason}`);
    this.reason = reason;
  }
}

/** How a session ends: for a reason that is recorded, or without a trace if it could not start. */
export type Ending = { reason: EndReason } | { failed: unknown };

interface EndOptions {
  /** The agent has left: room and slot are free. */
  onLeft(live: LiveSession): void;
  /** The end is stored, which is later than `onLeft` while the disk refuses. */
  onStored(live: LiveSession): void;
  logger: Logger;
}

/**
 * Ends a session, whatever the cause. It happens once: the first cause counts, and later calls wait
 * for that end. Resolves when the agent has left, also while the disk refuses to store the end.
 */
export function endSession(
  live: LiveSession,
  ending: Ending,
  { onLeft, onStored, logger }: EndOptions,
): Promise<void> {
  live.ending ??= end();
  return live.ending;

  async function end(): Promise<void> {
    const reason = "reason" in ending ? ending.reason : undefined;
    live.abort.abort("reason" in ending ? new EndedWhileStarting(ending.reason) : ending.failed);
    if (reason) live.publish({ type: "session", data: { state: "ending", reason } });
    await live.started;
    await live.close();
    onLeft(live);
    live.end(reason, () => onStored(live));
    if (reason) logger.info({ session_id: live.id, reason }, "session ended");
  }
}

/** Why a session has to end now; undefined when it may go on. `now` is in its time. */
export function overdue(
  { session, startedAt, userLeftAt, lastActivity }: LiveSession,
  { sessionMaxMs, sessionIdleMs }: SessionLimits,
  now: number,
): EndReason | undefined {
  if (now - startedAt > sessionMaxMs) return "time_limit";
  if (session.state !== "active") return undefined;
  if (userLeftAt !== undefined && now - userLeftAt > RETURN_MS) return "user_left";
  if (now - lastActivity > sessionIdleMs) return "idle";
  return undefined;
}

const EXPLANATIONS: Partial<Record<EndReason, string>> = {
  provider_failed: "The conversation ended because a provider kept failing.",
  room_closed: "The conversation ended because its room was closed.",
  livekit_lost: "The conversation ended because the connection to LiveKit was lost.",
  room_taken: "The conversation ended because another Parley has taken its room.",
  shutdown: "Parley is shutting down.",
  time_limit: "The conversation reached its time limit.",
};

/**
 * Explains an end that the person did not ask for.
 * @param lastFailure the message about the newest failure of a provider
 */
export function whyEnded(reason: EndReason, lastFailure?: string): string {
  const explanation = EXPLANATIONS[reason] ?? "The agent has left the conversation.";
  if (reason !== "provider_failed") return explanation;
  const cause = lastFailure?.replace(
    "Please say it again.",
    "Start a new one once it works again.",
  );
  return cause === undefined ? explanation : `${explanation} ${cause}`;
}
