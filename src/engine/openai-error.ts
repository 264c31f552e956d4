import type { z } from "zod";
import { Failure, type FailureKind } from "../errors.ts";

interface Details {
  code?: string | undefined;
  param?: string | undefined;
}

/** A Failure with what OpenAI's clients look at besides the message. */
class Refusal extends Failure {
  readonly details: Details;

  constructor(kind: FailureKind, message: string, details: Details) {
    super(kind, message);
    this.details = details;
  }
}

/** A request that is refused for a reason that has a code. */
export function refusal(kind: FailureKind, message: string, details: Details = {}): Failure {
  return new Refusal(kind, message, details);
}

const STATUS: Record<FailureKind, 400 | 401 | 403 | 404 | 409 | 413 | 429 | 502 | 503> = {
  invalid: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  too_large: 413,
  limit: 429,
  upstream_failed: 502,
  unavailable: 503,
};

/** An error in the form of OpenAI (https://platform.openai.com/docs/guides/error-codes). */
export interface OpenAiError {
  message: string;
  type: "invalid_request_error" | "server_error";
  param: string | null;
  code: string | null;
}

/** What a client is told of an error, and with which status. What nobody expected is not told. */
export function openAiError(error: unknown): { status: number; error: OpenAiError } {
  if (!(error instanceof Failure)) {
    const message = "The engine met an error that nobody expected; its log has the details.";
    return { status: 500, error: { message, type: "server_error", param: null, code: null } };
  }
  const status = STATUS[error.kind];
  const details = error instanceof Refusal ? error.details : {};
  return {
    status,
    error: {
      message: error.message,
      type: status < 500 ? "invalid_request_error" : "server_error",
      param: details.param ?? null,
      code: details.code ?? null,
    },
  };
}

/** The value as the schema understands it. @throws Failure `invalid` that names the first field */
export function parse<T extends z.ZodType>(schema: T, value: unknown): z.infer<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const param = issue?.path.join(".") ?? "";
  const named = param === "" ? "The body" : param;
  throw refusal("invalid", `${named}: ${issue?.message}`, { param: param || undefined });
}

/** A request's body as JSON. @throws Failure `invalid` when it is none */
export async function jsonBody(request: { text(): Promise<string> }): Promise<unknown> {
  try {
    return JSON.parse(await request.text());
  } catch {
    throw refusal("invalid", "The body is not valid JSON.");
  }
}
