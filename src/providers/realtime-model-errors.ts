import type { SpeechToSpeechProvider } from "../domain/stage.ts";
import { fieldOf } from "../lib/json.ts";
import { diagnose, type ProviderDiagnosis, type ProviderProblem } from "./provider-errors.ts";
import { sourceOf } from "./provider-source.ts";

/** A failure of a realtime model in Parley's words, without the server's text. */
export class RealtimeModelError extends Error {
  override readonly name = "RealtimeModelError";
  readonly problem: ProviderProblem;
  readonly finding: string;
  readonly remedy: string;

  constructor(server: string, { code, finding, remedy }: ProviderDiagnosis) {
    const message = `Speech to speech failed: ${server} ${finding}. ${remedy}`;
    super(message);
    this.problem = { code, message };
    this.finding = finding;
    this.remedy = remedy;
  }
}

/**
 * Says in plain words what a realtime model's failure means and what to change.
 *
 * @param error of the connection, or of the plugin; it may be one already
 */
export function realtimeModelError(
  provider: SpeechToSpeechProvider,
  error: unknown,
): RealtimeModelError {
  if (error instanceof RealtimeModelError) return error;
  const source = sourceOf("llm", provider);
  // The plugin keeps the error of an event in `body`.
  const reported = fieldOf(error, "body");
  const known = reported ? { error: reported } : error;
  return new RealtimeModelError(source.server, diagnose("llm", known, source));
}

/** The `code`, else the `type`, of the error in an event of the server. */
export function errorCodeOf(error: unknown): string | undefined {
  const code = fieldOf(error, "code") ?? fieldOf(error, "type");
  return typeof code === "string" && code !== "" ? code : undefined;
}
