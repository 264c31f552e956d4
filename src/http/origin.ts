import type { Context } from "hono";
import { cors } from "hono/cors";
import { csrf } from "hono/csrf";
import { Failure } from "../errors.ts";
import { isLoopback } from "../lib/loopback.ts";

type Next = () => Promise<void>;

/**
 * Whether a page of this origin may use Parley: Parley's own pages, or a configured origin.
 *
 * @param origin the request's `Origin`
 * @param host the request's `Host`
 * @param allowed configured origins; a port may be `*`
 */
export function isAllowedOrigin(
  origin: string,
  host: string | undefined,
  allowed: string[],
): boolean {
  const url = URL.parse(origin);
  if (!url) return false;
  if (host !== undefined && url.host === host) return true;
  return allowed.some((pattern) => {
    if (!pattern.endsWith(":*")) return pattern === url.origin;
    return pattern.slice(0, -2) === `${url.protocol}//${url.hostname}`;
  });
}

/**
 * Refuses host names that are not this machine's, where no sign-in protects Parley. Otherwise a
 * foreign page could reach it by rebinding its own DNS name to this machine.
 */
export function refuseForeignHosts() {
  return async (c: Context, next: Next) => {
    const host = c.req.header("Host");
    if (host !== undefined && !isLoopback(hostName(host))) {
      throw new Failure(
        "forbidden",
        "Without AUTH_PASSWORD, Parley answers only under localhost and loopback addresses.",
      );
    }
    await next();
  };
}

/** Refuses WebSockets that foreign pages open; browsers do not apply CORS to them. */
export function refuseForeignSockets(allowed: string[]) {
  return async (c: Context, next: Next) => {
    const origin = c.req.header("Origin");
    const upgrade = c.req.header("Upgrade") !== undefined;
    if (
      upgrade &&
      origin !== undefined &&
      !isAllowedOrigin(origin, c.req.header("Host"), allowed)
    ) {
      throw new Failure(
        "forbidden",
        "This page may not open Parley's WebSocket; see CORS_ORIGINS.",
      );
    }
    await next();
  };
}

/**
 * Refuses forms that foreign pages send. Browsers say where a request comes from; a request that
 * does not say comes from a program, which may also omit the content type.
 */
export function refuseForeignForms(allowed: string[]) {
  const check = csrf({
    origin: (origin, c) => isAllowedOrigin(origin, c.req.header("Host"), allowed),
  });
  return (c: Context, next: Next) => {
    const fromBrowser = c.req.header("Origin") ?? c.req.header("Sec-Fetch-Site");
    return fromBrowser === undefined ? next() : check(c, next);
  };
}

/** Lets pages of the configured origins use the API. */
export function crossOrigin(allowed: string[]) {
  return cors({
    origin: (origin) => (isAllowedOrigin(origin, undefined, allowed) ? origin : null),
    allowMethods: ["GET", "POST", "DELETE"],
    allowHeaders: ["Content-Type", "Authorization"],
    exposeHeaders: ["Location", "Retry-After"],
    credentials: true,
    maxAge: 600,
  });
}

/** The name in a `Host` header; empty when the header is malformed. */
export function hostName(host: string): string {
  return /^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d+)?$/.exec(host)?.[1] ?? "";
}
