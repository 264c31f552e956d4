import type { Stage } from "../domain/stage.ts";
import { statusOf } from "../errors.ts";
import { STAGE_NOUNS } from "../lib/words.ts";

export interface ProviderProblem {
  /** For programs; stable. */
  code: string;
  /** For people. It quotes nothing of the provider's text, which may contain the API key. */
  message: string;
}

/**
 * Says in plain words what a provider's failure means and what to do about it.
 *
 * @param error an error of the openai client or of the agents library; its `status` or
 *   `statusCode` and its name decide
 */
export function describeProviderError(stage: Stage, error: unknown): ProviderProblem {
  const name = capitalised(STAGE_NOUNS[stage]);
  const prefix = stage.toUpperCase();
  const fault = answerErrorIn(error);
  if (fault) {
    return {
      code: `provider_${fault.fault}`,
      message: `${name} failed: the provider ${ANSWER_FAULTS[fault.fault]}${fault.detail}.`,
    };
  }
  const status = statusOf(error);
  if (status === 401 || status === 403) {
    return {
      code: "provider_unauthorized",
      message: `${name} is not available: the provider refused the API key (${status}). Check ${prefix}_API_KEY or OPENAI_API_KEY.`,
    };
  }
  if (status === 404) {
    return {
      code: "provider_not_found",
      message: `${name} is not available: the provider does not know the model or the address (404). Check ${prefix}_MODEL and ${prefix}_BASE_URL.`,
    };
  }
  if (status === 429) {
    return {
      code: "provider_rate_limited",
      message: `${name} is not available: the provider's rate limit or quota is used up (429). Wait a little, or check the plan.`,
    };
  }
  if (status !== undefined) {
    return {
      code: "provider_failed",
      message: `${name} failed: the provider answered with an error (${status}). Please say it again.`,
    };
  }
  if (isTimeout(error)) {
    return {
      code: "provider_timeout",
      message: `${name} failed: the provider did not answer in time. Please say it again.`,
    };
  }
  return {
    code: "provider_unreachable",
    message: `${name} failed: the connection to the provider broke. Please say it again.`,
  };
}

/** What is wrong with an answer that the server sent as a good one. */
const ANSWER_FAULTS = {
  empty: "answered nothing",
  cut: "stopped before its answer was complete",
  declined: "declined to answer",
  error_body: "answered with an error",
  format: "sent something that cannot be played",
  silent: "sent silence",
  context: "cannot take a conversation of this length",
} as const;
export type AnswerFault = keyof typeof ANSWER_FAULTS;

/** A fault that Parley finds in an answer, in its own words. */
export class AnswerError extends Error {
  override readonly name = "AnswerError";
  readonly fault: AnswerFault;
  readonly detail: string;

  /** @param detail more about it for people, such as "MP3"; never text of the provider */
  constructor(fault: AnswerFault, detail?: string) {
    super(`the provider ${ANSWER_FAULTS[fault]}${detail ? ` (${detail})` : ""}`);
    this.fault = fault;
    this.detail = detail ? ` (${detail})` : "";
  }
}

/** The `AnswerError` among a failure and its causes. */
function answerErrorIn(error: unknown): AnswerError | undefined {
  for (let at = error, depth = 0; isObject(at) && depth < 5; at = at["cause"], depth += 1) {
    if (at instanceof AnswerError) return at;
  }
  return undefined;
}

/** A provider's failure without any of the provider's text. */
class ProviderError extends Error {
  override readonly name = "ProviderError";
  readonly status: number | undefined;

  constructor(message: string, status?: number) {
    super(message);
    this.status = status;
  }
}

/**
 * Removes the provider's text from a failure, because it may quote the API key and would end up in
 * logs. Where only the text says what happened, as on a WebSocket, it is reduced to a status.
 *
 * @param what what failed, such as "speech synthesis"
 */
export function redactProviderError(what: string, error: unknown): Error {
  const fault = answerErrorIn(error);
  if (fault) return fault;
  const status = statusOf(error) ?? statusInMessage(error);
  if (status !== undefined) return new ProviderError(`${what} answered ${status}`, status);
  return new ProviderError(isTimeout(error) ? `${what} timed out` : `${what} broke`);
}

const WORDINGS: [RegExp, number][] = [
  [/api key|authenticat|unauthorized/i, 401],
  [/rate limit|quota|too many requests/i, 429],
  [/server (?:had an )?error/i, 500],
];

function statusInMessage(error: unknown): number | undefined {
  if (!isObject(error)) return undefined;
  const message = String(error["message"]);
  const [, refused] = /unexpected server response: (\d{3})/i.exec(message) ?? [];
  return refused ? Number(refused) : WORDINGS.find(([wording]) => wording.test(message))?.[1];
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function isTimeout(error: unknown): boolean {
  for (let at = error, depth = 0; isObject(at) && depth < 5; at = at["cause"], depth += 1) {
    if (/timed?[ -]?out/i.test(`${at["name"]} ${at["message"]}`)) return true;
  }
  return false;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
