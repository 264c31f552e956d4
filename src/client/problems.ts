import type { EndReason } from "../domain/session.ts";
import type { SessionEvent, Stage } from "../domain/transcript.ts";
import { ApiError } from "./api.ts";

/** What a person can do about a problem; the page turns each into one button or link. */
export type Remedy = "retry" | "other_room" | "sign_in" | "none";

/** Something that went wrong, in the words shown to the person. Always untrusted text. */
export interface Problem {
  title: string;
  detail: string;
  remedy: Remedy;
  /** `error` stopped the conversation, `warning` did not, `info` is an ordinary end. */
  tone: "error" | "warning" | "info";
}

/** A step of starting a conversation, in order. */
export type Step = "token" | "microphone" | "room" | "session" | "resume";

/** Carries a finished `Problem` through a chain of promises. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";
  readonly problem: Problem;

  constructor(problem: Problem, cause?: unknown) {
    super(problem.title, { cause });
    this.problem = problem;
  }
}

function error(title: string, detail: string, remedy: Remedy = "retry"): Problem {
  return { title, detail, remedy, tone: "error" };
}

/** Turns whatever a step threw into what the person reads. */
export function problemOf(step: Step, cause: unknown): Problem {
  if (cause instanceof ProblemError) return cause.problem;
  if (cause instanceof ApiError) return apiProblem(cause);
  if (step === "microphone") return microphoneProblem(cause);
  if (step === "room") {
    return error(
      "The audio connection could not be made",
      "Parley's audio server (LiveKit) did not answer. Check that it is running and that no firewall or proxy is in the way, then try again.",
    );
  }
  return error("The conversation could not start", messageOf(cause));
}

/** A refused or failed request to Parley. */
export function apiProblem(failure: ApiError): Problem {
  switch (failure.status) {
    case 0:
      return error(
        "Parley cannot be reached",
        "Check your network, and that Parley is still running, then try again.",
      );
    case 401:
      return error("You are signed out", "Sign in again to go on.", "sign_in");
    case 409:
      return error(
        "This room is taken",
        "Another conversation is going on in it. Use another room, or stop that one first.",
        "other_room",
      );
    case 429:
      return error("Parley is busy", `${failure.detail} ${whenToRetry(failure.retryAfter)}`.trim());
    case 502:
    case 503:
      return error(
        "The conversation could not start",
        failure.detail || "A service it needs is down.",
      );
    default:
      return error(failure.title, failure.detail);
  }
}

/** The same problem where it does not stop the conversation. */
export function asWarning(problem: Problem): Problem {
  const remedy = problem.remedy === "sign_in" ? "sign_in" : "none";
  return { ...problem, remedy, tone: "warning" };
}

/** "Try again in about 2 minutes." */
export function whenToRetry(seconds: number | undefined): string {
  if (seconds === undefined) return "Try again in a little while.";
  const [number, unit] = seconds < 90 ? [seconds, "second"] : [seconds / 60, "minute"];
  const rounded = Math.max(1, Math.round(number));
  return `Try again in about ${rounded} ${unit}${rounded === 1 ? "" : "s"}.`;
}

/** What `getUserMedia` answered, by the names of the Media Capture specification. */
function microphoneProblem(cause: unknown): Problem {
  const name = cause instanceof Error || cause instanceof DOMException ? cause.name : "";
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      return error(
        "The microphone is blocked",
        "Allow the microphone for this page: use the icon beside the address, or your system's privacy settings. Then try again.",
      );
    case "NotFoundError":
    case "OverconstrainedError":
      return error(
        "No microphone was found",
        "Plug one in, or choose another one under Microphone, then try again.",
      );
    case "NotReadableError":
    case "AbortError":
      return error(
        "The microphone is in use",
        "Another program may be holding it. Close that, or choose another microphone, then try again.",
      );
    default:
      return error("The microphone could not be opened", messageOf(cause));
  }
}

/** Browsers hide the microphone from pages that did not come over HTTPS or from localhost. */
export const INSECURE_PAGE = error(
  "This page may not use the microphone",
  "Browsers allow it only over HTTPS or on localhost. Open Parley by an https:// address, or on the machine that runs it.",
);

export const CONNECTION_LOST = error(
  "The connection was lost",
  "The audio connection dropped and could not be made again. What was said so far is in the history.",
);

export const ROOM_CLOSED = error(
  "The room was closed",
  "The audio server closed it, and the agent left.",
);

export const OPENED_ELSEWHERE: Problem = {
  title: "This conversation moved",
  detail: "It was opened in another window or tab, so this one let go of it.",
  remedy: "none",
  tone: "info",
};

export const AGENT_VANISHED = error(
  "The agent left",
  "It left the room without saying why. What was said so far is in the history.",
);

export const TRANSCRIPT_DELAYED: Problem = {
  title: "The transcript is catching up",
  detail: "Its connection dropped. Parley reconnects by itself, and no line is lost.",
  remedy: "none",
  tone: "warning",
};

const STAGES: Record<Stage, string> = {
  stt: "Speech recognition had a problem",
  llm: "The language model had a problem",
  tts: "The voice had a problem",
  livekit: "The audio connection had a problem",
};

/** An `error` event: the stage in plain words, and whether the conversation goes on. */
export function eventProblem(data: Extract<SessionEvent, { type: "error" }>["data"]): Problem {
  const title = data.stage === undefined ? "Something went wrong" : STAGES[data.stage];
  const outlook = data.recoverable ? "The conversation goes on." : "";
  return {
    title,
    detail: `${sentence(data.message)} ${outlook}`.trim(),
    remedy: "none",
    tone: data.recoverable ? "warning" : "error",
  };
}

const ENDINGS: Record<EndReason, Problem> = {
  stopped: info("The conversation was stopped", "It was ended from somewhere else."),
  user_left: info("The conversation ended", "Nobody was left in the room."),
  idle: info("The conversation ended", "It had been quiet for a while, so the agent hung up."),
  time_limit: info("Time is up", "The conversation reached its longest allowed time."),
  room_closed: ROOM_CLOSED,
  livekit_lost: error("The agent lost its connection", "The audio server could not be reached."),
  provider_failed: error(
    "The agent had to stop",
    "A speech or language service it needs failed. Its settings or its key may need a look.",
  ),
  agent_failed: error("The agent had to stop", "Something in it failed. The log says what."),
  shutdown: error("Parley was shut down", "Start again when it is back."),
  crashed: error("The conversation broke off", "Parley itself stopped unexpectedly."),
};

/**
 * Why a session ended by itself. `reported` is the unrecoverable `error` event that came just
 * before, which says more than the reason alone.
 */
export function endingProblem(reason: string | undefined, reported?: Problem): Problem {
  const ending = Object.entries(ENDINGS).find(([name]) => name === reason)?.[1];
  if (ending === undefined) return reported ?? AGENT_VANISHED;
  if (reported === undefined || ending.tone === "info") return ending;
  return { ...ending, detail: `${reported.title}: ${reported.detail}` };
}

function info(title: string, detail: string): Problem {
  return { title, detail, remedy: "none", tone: "info" };
}

function sentence(text: string): string {
  const trimmed = text.trim();
  return trimmed === "" || /[.!?…]$/.test(trimmed) ? trimmed : `${trimmed}.`;
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
