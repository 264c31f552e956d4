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

/** Ends a session once; a second call waits for the first. Resolves when the agent has left. */
export function endSession(
  live: LiveSession,
  reason: EndReason,
  { forget, logger }: { forget: (live: LiveSession) => void; logger: Logger },
): Promise<void> {
  live.ending ??= end();
  return live.ending;

  async function end(): Promise<void> {
    live.abort.abort(new EndedWhileStarting(reason));
    live.publish({ type: "session", data: { state: "ending", reason } });
    await live.started;
    await live.closeAgent();
    forget(live);
    live.end(reason);
    logger.info({ session_id: live.id, reason }, "session ended");
  }
}

/** Why an active session has to end now; undefined when it may go on. */
export function overdue(
  { session, userLeftAt, lastActivity }: LiveSession,
  { sessionMaxMs, sessionIdleMs }: SessionLimits,
  now: number,
): EndReason | undefined {
  if (session.state !== "active") return undefined;
  if (userLeftAt !== undefined && now - userLeftAt > RETURN_MS) return "user_left";
  if (now - session.started_at > sessionMaxMs) return "time_limit";
  if (now - lastActivity > sessionIdleMs) return "idle";
  return undefined;
}

const EXPLANATIONS: Partial<Record<EndReason, string>> = {
  provider_failed: "The conversation ended because a provider kept failing.",
  room_closed: "The conversation ended because its room was closed.",
  livekit_lost: "The conversation ended because the connection to LiveKit was lost.",
  shutdown: "Parley is shutting down.",
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
