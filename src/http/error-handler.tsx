/** @jsxImportSource hono/jsx */
import type { Context, MiddlewareHandler } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { Logger } from "pino";
import { ErrorPage } from "../../views/error.tsx";
import { ErrorNotice } from "../../views/fragments/htmx.tsx";
import { Failure, type FailureKind, messageOf } from "../errors.ts";
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

declare module "hono" {
  interface ContextVariableMap {
    /** Logs an error that comes too late to be answered, because the answer has begun. */
    reportError(error: unknown): void;
  }
}

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
    if (problem === UNEXPECTED) report(logger, error, c);
    if (error instanceof Failure && error.retryAfter !== undefined) {
      c.header("Retry-After", String(error.retryAfter));
    }
    c.header("Cache-Control", "no-store");
    if (isHtmx(c)) return fragment(c, problem);
    if (wantsPage(c)) return c.html(<ErrorPage {...problem} asset={asset} />, problem.status);
    return problemJson(c, problem);
  };
}

/**
 * Gives the error handler what a route throws, also if that is no `Error`, which Hono would let
 * through to Bun.
 */
export function errorsOnly(logger: Logger): MiddlewareHandler {
  return async (c, next) => {
    c.set("reportError", (error) => report(logger, error, c));
    try {
      await next();
    } catch (thrown) {
      if (thrown instanceof Error) throw thrown;
      throw new Error(`no error was thrown: ${messageOf(thrown)}`);
    }
  };
}

/** Answers what has failed outside of the app, for `listen`. */
export function answerOutside(logger: Logger) {
  return (error: unknown): Response => {
    report(logger, error);
    const { status } = UNEXPECTED;
    return new Response(problemText(UNEXPECTED), { status, headers: PROBLEM_HEADERS });
  };
}

/** Logs an unexpected error once, also one whose fields throw when they are read. */
function report(logger: Logger, err: unknown, c?: Context): void {
  const context = c && { request_id: c.get("requestId"), path: c.req.path };
  const message = "a request failed unexpectedly";
  try {
    logger.error({ err, ...context }, message);
  } catch {
    logger.error({ err: messageOf(err), ...context }, message);
  }
}

/** The caller disconnected before the request was read, so nobody reads this. */
const ABORTED: Problem = { status: 400, title: "Invalid request", detail: "It was not finished." };
const UNEXPECTED: Problem = {
  status: 500,
  title: "Something went wrong",
  detail: "Unexpected error. See the log for details.",
};
const PROBLEM_HEADERS = {
  "Content-Type": "application/problem+json",
  "Cache-Control": "no-store",
};

function isAborted(error: Error, c: Context): boolean {
  return c.req.raw.signal.aborted && error.name === "AbortError";
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
  return UNEXPECTED;
}

/** A problem document whose `type` is `about:blank`, since the status says it all. */
function problemJson(c: Context, problem: Problem): Response {
  return c.body(problemText(problem), problem.status, PROBLEM_HEADERS);
}

function problemText(problem: Problem): string {
  return JSON.stringify({ type: "about:blank", ...problem });
}

function fragment(c: Context, problem: Problem): Response | Promise<Response> {
  return c.html(<ErrorNotice alert>{problem.detail}</ErrorNotice>, problem.status);
}
