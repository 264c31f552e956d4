import type { Stage } from "../domain/stage.ts";
import type { Notice } from "../domain/transcript.ts";
import { capitalised, STAGE_NOUNS } from "../lib/words.ts";
import { isFromSecond, markSecond } from "./failover.ts";
import { causesOf, factsOf, ProviderError } from "./failure-facts.ts";
import { FAULTS, PROBLEMS } from "./failure-words.ts";
import { type ProviderSource, unknownSource } from "./provider-source.ts";

export interface ProviderProblem {
  /** For programs; stable. */
  code: string;
  /** For people: what failed, who failed, why, and the one thing to do. */
  message: string;
}

/** A problem in parts, for reports that put them elsewhere than into one sentence. */
export interface ProviderDiagnosis {
  code: string;
  /** What the server did, to be put after its name: "refused the API key (401)". */
  finding: string;
  /** The one thing to do, as a sentence. */
  remedy: string;
}

/**
 * Says in plain words what a provider's failure means and what to do about it.
 *
 * @param error an error of the openai client or of the agents library
 * @param source who the provider is; undefined when that is not known
 */
export function describeProviderError(
  stage: Stage,
  error: unknown,
  source?: ProviderSource,
): ProviderProblem {
  const { code, finding, remedy } = diagnose(stage, error, source);
  const name = capitalised(STAGE_NOUNS[stage]);
  const server = source?.server ?? "the provider";
  return { code, message: `${name} failed: ${server} ${finding}. ${remedy}` };
}

/** The parts of what `describeProviderError` says. */
export function diagnose(
  stage: Stage,
  error: unknown,
  source: ProviderSource = unknownSource(stage),
): ProviderDiagnosis {
  const fault = answerErrorIn(error);
  const facts = factsOf(stage, fault?.cause ?? error);
  // An error in a good answer says itself what is wrong, if its words are known.
  if (fault && !(fault.fault === "error_body" && fault.cause && facts.kind !== "broken")) {
    const { finding, remedy } = FAULTS[fault.fault];
    return {
      code: `provider_${fault.fault}`,
      finding: finding + fault.detail,
      remedy: remedy(source),
    };
  }
  const { code, finding, remedy } = PROBLEMS[facts.kind];
  const status = facts.status === undefined ? "" : ` (${facts.status})`;
  const context = { stage, facts, source };
  return { code, finding: finding(context) + status, remedy: remedy(context) };
}

/** What a message tells when another provider takes over. */
export function fallbackNotice(
  stage: Stage,
  first: ProviderSource,
  second: ProviderSource,
  error: unknown,
): Notice {
  const { finding } = diagnose(stage, error, first);
  const what = capitalised(STAGE_NOUNS[stage]);
  const [before, after] =
    first.server === second.server
      ? [`${first.server} (${first.model})`, `${second.server} (${second.model})`]
      : [first.server, second.server];
  const message = `${what}: ${before} ${finding}. Now ${after} answers.`;
  return { code: "provider_fallback", stage, transient: false, message };
}

/** What a provider is, as far as it is known. */
interface Sourced {
  source?: ProviderSource | undefined;
}

/** Tells that the second provider of a stage takes over; for `Failover`. */
export function tellingOfFallback(
  stage: Stage,
  first: Sourced,
  second: Sourced | undefined,
  onNotice: (notice: Notice) => void,
): (error: unknown) => void {
  const sourceIn = ({ source }: Sourced) => source ?? unknownSource(stage);
  return (error) => {
    if (second) onNotice(fallbackNotice(stage, sourceIn(first), sourceIn(second), error));
  };
}

export type AnswerFault = keyof typeof FAULTS;

/** A fault that Parley finds in an answer, in its own words. */
export class AnswerError extends Error {
  override readonly name = "AnswerError";
  readonly fault: AnswerFault;
  readonly detail: string;

  /**
   * @param detail more about it for people, such as "MP3"; never text of the provider
   * @param cause for `error_body`: an error with the body, whose known words say more
   */
  constructor(fault: AnswerFault, detail?: string, cause?: unknown) {
    super(`the provider ${FAULTS[fault].finding}${detail ? ` (${detail})` : ""}`, { cause });
    this.fault = fault;
    this.detail = detail ? ` (${detail})` : "";
  }
}

/** A web page in the place of an answer: the address is probably another service's. */
export function webPageError(): AnswerError {
  return new AnswerError("error_body", undefined, { message: "<html>" });
}

/** The `AnswerError` among a failure and its causes. */
function answerErrorIn(error: unknown): AnswerError | undefined {
  return causesOf(error).find((one) => one instanceof AnswerError) as AnswerError | undefined;
}

/**
 * Removes the provider's text from a failure, because it may quote the API key and would end up in
 * logs. What is known of it stays.
 */
export function redactProviderError(stage: Stage, error: unknown): Error {
  const fault = answerErrorIn(error);
  if (fault && fault.cause === undefined) return fault;
  const facts = factsOf(stage, fault?.cause ?? error);
  const { finding } = PROBLEMS[facts.kind];
  const said = finding({ stage, facts, source: unknownSource(stage) });
  const redacted = new ProviderError(`${STAGE_NOUNS[stage]}: the provider ${said}`, facts);
  const own = fault ? new AnswerError(fault.fault, undefined, redacted) : redacted;
  return isFromSecond(error) ? markSecond(own) : own;
}
