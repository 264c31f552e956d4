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
  try {
    return error instanceof Error ? error.message : String(error);
  } catch {
    return "an error that cannot be read";
  }
}

/** The code of an error of the operating system, such as `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}

/** A chain of causes may be a circle. */
const MAX_CAUSES = 5;

/** The HTTP status of a failed request, searched along the chain of causes. */
export function statusOf(error: unknown): number | undefined {
  for (let at = error, depth = 0; isObject(at) && depth < MAX_CAUSES; at = at["cause"], depth++) {
    const status = at["status"] ?? at["statusCode"];
    if (typeof status === "number" && status >= 100) return status;
  }
  return undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
