import { Hono, type MiddlewareHandler } from "hono";
import { compress } from "hono/compress";
import { requestId } from "hono/request-id";
import type { Logger } from "pino";
import { Failure } from "../errors.ts";
import type { Assets } from "./assets.ts";
import type { Auth } from "./auth.ts";
import { createErrorHandler, errorsOnly } from "./error-handler.tsx";
import {
  crossOrigin,
  refuseForeignForms,
  refuseForeignHosts,
  refuseForeignSockets,
} from "./origin.ts";
import { boundAddress, boundRequest, type RequestBounds } from "./request-bounds.ts";
import { signInRoutes } from "./routes/sign-in.tsx";
import { securityHeaders } from "./security-headers.ts";

export interface ServerOptions {
  /** Origins of other pages that may use the API; a port may be `*`. */
  corsOrigins: string[];
  /** Any host name is answered; false: only names of this machine. */
  anyHost: boolean;
  /** Where browsers reach LiveKit now. */
  livekitUrl(): string;
  auth: Auth;
  assets: Assets;
  logger: Logger;
  /** The routes of each part of Parley, which requests reach after all checks. */
  routes: readonly Hono[];
  bounds?: Partial<RequestBounds> | undefined;
}

/** The HTTP server: what every request passes, in order, and then the routes. */
export function createServer(options: ServerOptions): Hono {
  const { corsOrigins, anyHost, livekitUrl, auth, assets, logger, routes } = options;
  const app = new Hono();
  app.onError(createErrorHandler(logger, assets.url));
  app.notFound(() => {
    throw new Failure("not_found", "Page not found.");
  });

  app.use(requestId());
  app.use(requestLog(logger));
  app.use(securityHeaders(livekitUrl));
  app.use(boundAddress);
  if (!anyHost) app.use(refuseForeignHosts());
  app.use(refuseForeignSockets(corsOrigins));
  app.use(crossOrigin(corsOrigins));
  app.use(refuseForeignForms(corsOrigins));
  app.use(auth.guard);
  app.use(boundRequest(options.bounds));
  app.use("/assets/*", compress());
  app.use(errorsOnly(logger));

  app.route("/", assets.routes);
  app.route("/", signInRoutes(auth, assets.url));
  for (const part of routes) app.route("/", part);
  return app;
}

/** Logs one line for each request, without the query, which holds names of people and rooms. */
function requestLog(logger: Logger): MiddlewareHandler {
  return async (c, next) => {
    const startedAt = performance.now();
    await next();
    logger.info(
      {
        request_id: c.get("requestId"),
        method: c.req.method,
        path: c.req.path,
        status: c.res.status,
        duration_ms: Math.round((performance.now() - startedAt) * 10) / 10,
      },
      "request",
    );
  };
}
