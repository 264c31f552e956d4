import type { z } from "zod";
import { Failure, type FailureKind } from "../errors.ts";

interface Details {
  code?: string | undefined;
  param?: string | undefined;
}

/** A Failure with the fields that OpenAI's clients read besides the message. */
class Refusal extends Failure {
  readonly details: Details;

  constructor(kind: FailureKind, message: string, details: Details) {
    super(kind, message);
    this.details = details;
  }
}

/** A Failure for a request that is refused, with OpenAI's code and the field at fault. */
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

/** An error as OpenAI sends it (https://platform.openai.com/docs/guides/error-codes). */
export interface OpenAiError {
  message: string;
  type: "invalid_request_error" | "server_error";
  param: string | null;
  code: string | null;
}

/**
 * The status and body that a client gets for an error. The message of an unexpected error is not
 * sent, because it may contain anything.
 */
export function openAiError(error: unknown): { status: number; error: OpenAiError } {
  if (!(error instanceof Failure)) {
    const message = "The engine met an unexpected error; its log has the details.";
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

/** A value validated by a schema. @throws Failure `invalid` that names the first wrong field */
export function parse<T extends z.ZodType>(schema: T, value: unknown): z.infer<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const param = issue?.path.join(".") ?? "";
  const subject = param === "" ? "The body" : param;
  throw refusal("invalid", `${subject}: ${issue?.message}`, { param: param || undefined });
}

/** A request's body as JSON. @throws Failure `invalid` if it is not JSON */
export async function jsonBody(request: { text(): Promise<string> }): Promise<unknown> {
  try {
    return JSON.parse(await request.text());
  } catch {
    throw refusal("invalid", "The body is not valid JSON.");
  }
}

/** A program that serves several people names the person a request is for in this header. */
const CLIENT_HEADER = "x-client-id";

/**
 * The client whose turn in a queue a request takes: named by the header, or by OpenAI's field
 * `user`; undefined for a request that names none.
 */
export function clientOf(request: Request, user?: string | null): string | undefined {
  return request.headers.get(CLIENT_HEADER)?.slice(0, 256) || user || undefined;
}
