/** Kinds of expected failures. Each maps to one HTTP status in `http/error-handler.tsx`. */
export type FailureKind =
  | "invalid"
  | "unauthorized"
  | "forbidden"
  | "not_found"
  | "conflict"
  | "too_large"
  | "limit"
  | "upstream_failed"
  | "unavailable";

export interface FieldError {
  path: string;
  message: string;
}

/**
 * An expected failure. Its message tells a person what is wrong and what to do, and never contains
 * a secret.
 */
export class Failure extends Error {
  override readonly name = "Failure";
  readonly kind: FailureKind;
  readonly errors: FieldError[] | undefined;
  /** Seconds after which a retry makes sense. */
  readonly retryAfter: number | undefined;

  constructor(
    kind: FailureKind,
    message: string,
    options: { errors?: FieldError[]; retryAfter?: number; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.kind = kind;
    this.errors = options.errors;
    this.retryAfter = options.retryAfter;
  }
}

/** The message of anything that was thrown, for logs. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
