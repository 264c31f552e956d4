import { ApiError, findSession } from "./api.ts";
import type { Attempt } from "./attempt.ts";
import type { DisconnectCause } from "./call.ts";
import { type Conversation, isLive } from "./conversation.ts";
import {
  AGENT_LEFT,
  apiProblem,
  CONNECTION_LOST,
  endingProblem,
  OPENED_ELSEWHERE,
  type Problem,
  ROOM_CLOSED,
} from "./problems.ts";

export interface LivenessDeps {
  state: () => Conversation;
  isCurrent: (attempt: Attempt) => boolean;
  /** Ends the conversation on the page, and the session too if `endSession`. */
  fail: (attempt: Attempt, problem: Problem, endSession: boolean) => void;
  /** Pause before each check for an agent that left; 3000 if unset. */
  agentCheckMs?: number | undefined;
}

/** Failed retries of the WebSocket, about half a minute, after which Parley counts as down. */
const MAX_RETRIES = 8;
const AGENT_CHECKS = 3;
const AGENT_CHECK_MS = 3000;

/**
 * Finds out what became of a session that has not reported its own end: the room was lost, the
 * agent left it, or the WebSocket stays down. Ends the conversation if the session is over.
 */
export class Liveness {
  readonly #deps: LivenessDeps;

  constructor(deps: LivenessDeps) {
    this.#deps = deps;
  }

  /** The connection to the room was lost for good. */
  async roomLost(attempt: Attempt, cause: DisconnectCause): Promise<void> {
    // While connecting, `connect` rejects too and reports it.
    if (!isLive(this.#deps.state())) return;
    if (cause === "moved") {
      this.#deps.fail(attempt, OPENED_ELSEWHERE, false);
      return;
    }
    // The room closes with its session, and the session knows a more precise reason.
    if (cause === "room_closed") await this.check(attempt, 0);
    this.#deps.fail(attempt, cause === "room_closed" ? ROOM_CLOSED : CONNECTION_LOST, true);
  }

  /** The agent left the room. It may return, or its session may be about to report its end. */
  async agentLeft(attempt: Attempt): Promise<void> {
    for (let number = 1; number <= AGENT_CHECKS; number += 1) {
      await pause(this.#deps.agentCheckMs ?? AGENT_CHECK_MS);
      if (!this.#deps.isCurrent(attempt) || this.#deps.state().agentPresent) return;
      await this.check(attempt, number);
    }
    if (!this.#deps.state().agentPresent) this.#deps.fail(attempt, AGENT_LEFT, true);
  }

  /**
   * Asks Parley whether the session is still live, and ends the conversation if it is not, or if
   * Parley has been unreachable for too long.
   *
   * @param retries how often the WebSocket was retried in vain; infinite if it was closed for good
   */
  async check(attempt: Attempt, retries: number): Promise<void> {
    const id = this.#deps.state().sessionId;
    if (id === null) return;
    try {
      const session = await findSession(id);
      const ended = session === undefined || session.state === "ended";
      if (!ended && retries !== Number.POSITIVE_INFINITY) return;
      this.#deps.fail(attempt, endingProblem(session?.end_reason ?? undefined), !ended);
    } catch (cause) {
      if (!(cause instanceof ApiError)) return;
      if (cause.status === 401 || retries >= MAX_RETRIES) {
        this.#deps.fail(attempt, apiProblem(cause), true);
      }
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
