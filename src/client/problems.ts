import type { EndReason } from "../domain/session.ts";
import type { ErrorSource, Notice, SessionEvent } from "../domain/transcript.ts";
import { ApiError } from "./api.ts";

/** What the person can do about a problem. The page shows a button or link for it. */
export type Remedy = "retry" | "other_room" | "sign_in" | "none";

/** Something that went wrong, as shown to the person. May contain untrusted text. */
export interface Problem {
  title: string;
  detail: string;
  remedy: Remedy;
  /** `error` ended the conversation, `warning` did not, `info` is an ordinary end. */
  tone: "error" | "warning" | "info";
  /** Shown only until the agent speaks. */
  transient?: boolean;
}

/** A step of starting a conversation, in order; `resume` comes first after a reload. */
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

/** Turns what a step of the start threw into a problem. */
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
      return error("You are signed out", "Sign in again to continue.", "sign_in");
    case 409:
      return error(
        "This room is taken",
        "Another conversation is running in it. Use another room, or stop that one first.",
        "other_room",
      );
    case 429:
      return error("Parley is busy", `${failure.detail} ${whenToRetry(failure.retryAfter)}`.trim());
    case 502:
    case 503:
      return error("The conversation could not start", unavailable(failure));
    default:
      return error(failure.title, failure.detail);
  }
}

/** What is down, and when to try again if Parley knows. */
function unavailable({ detail, retryAfter }: ApiError): string {
  const what = sentence(detail || "A service it needs is down.");
  return retryAfter === undefined ? what : `${what} ${whenToRetry(retryAfter)}`;
}

/** The same problem where it does not end the conversation. */
export function asWarning(problem: Problem): Problem {
  const remedy = problem.remedy === "sign_in" ? "sign_in" : "none";
  return { ...problem, remedy, tone: "warning" };
}

/** "Try again in about 2 minutes." */
export function whenToRetry(seconds: number | undefined): string {
  if (seconds === undefined) return "Try again in a moment.";
  const [number, unit] = seconds < 90 ? [seconds, "second"] : [seconds / 60, "minute"];
  const rounded = Math.max(1, Math.round(number));
  return `Try again in about ${rounded} ${unit}${rounded === 1 ? "" : "s"}.`;
}

/** An error of `getUserMedia`; the names are those of the Media Capture and Streams specification. */
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
        "Another program may be using it. Close that program or choose another microphone, then try again.",
      );
    default:
      return error("The microphone could not be opened", messageOf(cause));
  }
}

/** Browsers offer no microphone to pages that were loaded without HTTPS, except from localhost. */
export const INSECURE_PAGE = error(
  "This page may not use the microphone",
  "Browsers allow it only over HTTPS or on localhost. Open Parley by an https:// address, or on the machine that runs it.",
);

export const CONNECTION_LOST = error(
  "The connection was lost",
  "The audio connection dropped and could not be restored. What was said so far is in the history.",
);

export const ROOM_CLOSED = error(
  "The room was closed",
  "The audio server closed it, and the agent left.",
);

export const OPENED_ELSEWHERE: Problem = {
  title: "This conversation moved",
  detail: "It continues in another window or tab.",
  remedy: "none",
  tone: "info",
};

export const AGENT_LEFT = error(
  "The agent left",
  "It disconnected unexpectedly. What was said so far is in the history.",
);

export const TRANSCRIPT_DELAYED: Problem = {
  title: "The transcript is catching up",
  detail: "Its connection dropped. The page is reconnecting, and no line will be lost.",
  remedy: "none",
  tone: "warning",
};

const STAGES: Record<ErrorSource, string> = {
  stt: "Speech recognition had a problem",
  llm: "The language model had a problem",
  tts: "The voice had a problem",
  livekit: "The audio connection had a problem",
};

/** An `error` event: the stage in plain words, and whether the conversation continues. */
export function eventProblem(data: Extract<SessionEvent, { type: "error" }>["data"]): Problem {
  const title = data.stage === undefined ? "Something went wrong" : STAGES[data.stage];
  const continuation = data.recoverable ? "The conversation continues." : "";
  return {
    title,
    detail: `${sentence(data.message)} ${continuation}`.trim(),
    remedy: "none",
    tone: data.recoverable ? "warning" : "error",
  };
}

/** A `notice` event. */
export function noticeProblem({ message, transient }: Notice): Problem {
  return { title: sentence(message), detail: "", remedy: "none", tone: "info", transient };
}

const ENDINGS: Record<EndReason, Problem> = {
  stopped: info("The conversation was stopped", "It was ended from somewhere else."),
  user_left: info("The conversation ended", "Everyone left the room."),
  idle: info("The conversation ended", "It was quiet for a while, so the agent hung up."),
  time_limit: info("Time is up", "The conversation reached its time limit."),
  room_closed: ROOM_CLOSED,
  livekit_lost: error("The agent lost its connection", "The audio server could not be reached."),
  room_taken: error("The conversation ended", "Another Parley has taken its room."),
  provider_failed: error(
    "The agent had to stop",
    "A speech or language service failed. Check its settings and API key.",
  ),
  agent_failed: error("The agent had to stop", "Internal error; see the log."),
  shutdown: error("Parley was shut down", "Start again once it is running."),
  crashed: error("The conversation was interrupted", "Parley stopped unexpectedly."),
};

/**
 * Why a session ended without a stop from this page. `reported` is the unrecoverable `error` event
 * that came before; it is more precise than the reason alone.
 */
export function endingProblem(reason: string | undefined, reported?: Problem): Problem {
  const ending = Object.entries(ENDINGS).find(([name]) => name === reason)?.[1];
  if (ending === undefined) return reported ?? AGENT_LEFT;
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
