import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { Logger } from "pino";
import { ErrorPage } from "../../views/error.tsx";
import { ErrorNotice } from "../../views/fragments/htmx.tsx";
import { Failure, type FailureKind } from "../errors.ts";
import { isHtmx, wantsPage } from "./request.ts";

const STATUS: Record<FailureKind, [ContentfulStatusCode, string]> = {
  invalid: [400, "Invalid request"],
  unauthorized: [401, "Sign-in needed"],
  forbidden: [403, "Not allowed"],
  not_found: [404, "Not found"],
  conflict: [409, "Conflict"],
  too_large: [413, "Too large"],
  limit: [429, "Too many requests"],
  upstream_failed: [502, "Upstream service failed"],
  unavailable: [503, "Temporarily unavailable"],
};

interface Problem {
  status: ContentfulStatusCode;
  title: string;
  detail: string;
  errors?: { path: string; message: string }[];
}

/**
 * Turns anything that a route throws into a response: a problem document (RFC 9457) for programs, a
 * page for browsers, a fragment for HTMX. An unexpected error is logged with its context, and the
 * response reveals nothing of it.
 */
export function createErrorHandler(logger: Logger, asset: (path: string) => string) {
  return (error: Error, c: Context): Response | Promise<Response> => {
    const problem = isAborted(error, c) ? ABORTED : describe(error);
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
    if (isHtmx(c)) return fragment(c, problem);
    if (wantsPage(c)) return c.html(<ErrorPage {...problem} asset={asset} />, problem.status);
    return problemJson(c, problem);
  };
}

/** The caller disconnected before the request was read, so nobody reads this. */
const ABORTED: Problem = { status: 400, title: "Invalid request", detail: "It was not finished." };

function isAborted(error: Error, c: Context): boolean {
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
    const foreign = "This request came from another site and was blocked (see CORS_ORIGINS).";
    const detail = status === 403 ? foreign : error.message || "Parley does not take this request.";
    return { status, title: "The request was refused", detail };
  }
  return {
    status: 500,
    title: "Something went wrong",
    detail: "Unexpected error. See the log for details.",
  };
}

/** A problem document whose `type` is `about:blank`, since the status says it all. */
function problemJson(c: Context, problem: Problem): Response {
  return c.body(JSON.stringify({ type: "about:blank", ...problem }), problem.status, {
    "Content-Type": "application/problem+json",
  });
}

function fragment(c: Context, problem: Problem): Response | Promise<Response> {
  return c.html(<ErrorNotice alert>{problem.detail}</ErrorNotice>, problem.status);
}
