import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { Logger } from "pino";
import { ErrorPage } from "../../views/error.tsx";
import { Failure, type FailureKind } from "../errors.ts";

const STATUS: Record<FailureKind, [ContentfulStatusCode, string]> = {
  invalid: [400, "Invalid request"],
  unauthorized: [401, "Sign-in needed"],
  forbidden: [403, "Not allowed"],
  not_found: [404, "Not found"],
  conflict: [409, "Conflict"],
  too_large: [413, "Too large"],
  limit: [429, "Too many"],
  upstream_failed: [502, "A server Parley depends on failed"],
  unavailable: [503, "Not available now"],
};

interface Problem {
  status: ContentfulStatusCode;
  title: string;
  detail: string;
  errors?: { path: string; message: string }[];
}

/**
 * Turns anything thrown by a route into the answer: a problem document (RFC 9457) for programs, a
 * page for browsers, a fragment for HTMX. What was not expected is logged with its context, and
 * nothing of it is told.
 */
export function createErrorHandler(logger: Logger, asset: (path: string) => string) {
  return (error: Error, c: Context): Response | Promise<Response> => {
    const problem = hungUp(error, c) ? HUNG_UP : describe(error);
    if (problem.status >= 500 && !(error instanceof Failure)) {
      logger.error(
        { err: error, request_id: c.get("requestId"), path: c.req.path },
        "a request failed unexpectedly",
      );
    }
    if (error instanceof Failure && error.retryAfter !== undefined) {
      c.header("Retry-After", String(error.retryAfter));
    }
    c.header("Cache-Control", "no-store");
    if (c.req.header("HX-Request")) return fragment(c, problem);
    if (wantsPage(c)) return c.html(<ErrorPage {...problem} asset={asset} />, problem.status);
    return problemJson(c, problem);
  };
}

/** Nobody reads it: the caller went away before the request was read. */
const HUNG_UP: Problem = { status: 400, title: "Invalid request", detail: "It was not finished." };

function hungUp(error: Error, c: Context): boolean {
  return error.name === "AbortError" && c.req.raw.signal.aborted;
}

function describe(error: Error): Problem {
  if (error instanceof Failure) {
    const [status, title] = STATUS[error.kind];
    return {
      status,
      title,
      detail: error.message,
      ...(error.errors === undefined ? {} : { errors: error.errors }),
    };
  }
  if (error instanceof HTTPException) {
    const status = error.status as ContentfulStatusCode;
    const foreign = "A page that is not Parley's may not do this. See CORS_ORIGINS if it should.";
    const detail = status === 403 ? foreign : error.message || "Parley does not take this request.";
    return { status, title: "The request was refused", detail };
  }
  return {
    status: 500,
    title: "Something went wrong",
    detail: "Parley met an error it did not expect. The log has the details.",
  };
}

/** A problem document. `type` is `about:blank`: the status says what kind it is. */
function problemJson(c: Context, problem: Problem): Response {
  return c.body(JSON.stringify({ type: "about:blank", ...problem }), problem.status, {
    "Content-Type": "application/problem+json",
  });
}

function fragment(c: Context, problem: Problem): Response | Promise<Response> {
  return c.html(
    <p class="notice notice-error" role="alert">
      {problem.detail}
    </p>,
    problem.status,
  );
}

function wantsPage(c: Context): boolean {
  return c.req.method === "GET" && (c.req.header("Accept") ?? "").includes("text/html");
}
