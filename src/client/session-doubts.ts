import { ApiError, findSession } from "./api.ts";
import type { Attempt } from "./attempt.ts";
import type { CallLoss } from "./call.ts";
import { type Conversation, isLive } from "./conversation.ts";
import {
  AGENT_VANISHED,
  apiProblem,
  CONNECTION_LOST,
  endingProblem,
  OPENED_ELSEWHERE,
  type Problem,
  ROOM_CLOSED,
} from "./problems.ts";

export interface SessionDoubtsDeps {
  state: () => Conversation;
  isCurrent: (attempt: Attempt) => boolean;
  fail: (attempt: Attempt, problem: Problem, endSession: boolean) => void;
  /** Between two looks for an agent that left, ms. */
  agentGrace?: number;
}

/** Failed tries to reach the WebSocket after which Parley counts as gone, about half a minute. */
const TRIES_UNTIL_GONE = 8;
const LOOKS_FOR_AGENT = 3;

/**
 * Finds out what became of a session when its own word did not reach us: the room is gone, the
 * agent left it, or the WebSocket stays down.
 */
export class SessionDoubts {
  readonly #deps: SessionDoubtsDeps;

  constructor(deps: SessionDoubtsDeps) {
    this.#deps = deps;
  }

  /** The room is gone. */
  async roomLost(attempt: Attempt, loss: CallLoss): Promise<void> {
    // While connecting, `connect` rejects too and says so.
    if (!isLive(this.#deps.state())) return;
    if (loss === "moved") {
      this.#deps.fail(attempt, OPENED_ELSEWHERE, false);
      return;
    }
    // The session may have ended for a reason that is worth telling; the room went with it.
    if (loss === "room_closed") await this.ask(attempt, 0);
    this.#deps.fail(attempt, loss === "room_closed" ? ROOM_CLOSED : CONNECTION_LOST, true);
  }

  /** The agent left the room: its session's last word may be on the way, or it may come back. */
  async agentLeft(attempt: Attempt): Promise<void> {
    for (let look = 1; look <= LOOKS_FOR_AGENT; look += 1) {
      await pause(this.#deps.agentGrace ?? 3000);
      if (!this.#deps.isCurrent(attempt) || this.#deps.state().agentPresent) return;
      await this.ask(attempt, look);
    }
    if (!this.#deps.state().agentPresent) this.#deps.fail(attempt, AGENT_VANISHED, true);
  }

  /**
   * Asks Parley whether the session is still live.
   *
   * @param tries failed tries to reach the WebSocket; infinite if it was closed for good
   */
  async ask(attempt: Attempt, tries: number): Promise<void> {
    const id = this.#deps.state().sessionId;
    if (id === null) return;
    try {
      const session = await findSession(id);
      const over = session === undefined || session.state === "ended";
      if (!over && tries !== Number.POSITIVE_INFINITY) return;
      this.#deps.fail(attempt, endingProblem(session?.end_reason ?? undefined), !over);
    } catch (cause) {
      if (!(cause instanceof ApiError)) return;
      if (cause.status === 401 || tries >= TRIES_UNTIL_GONE) {
        this.#deps.fail(attempt, apiProblem(cause), true);
      }
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
