import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { compress } from "hono/compress";
import { cors } from "hono/cors";
import { csrf } from "hono/csrf";
import { requestId } from "hono/request-id";
import { secureHeaders } from "hono/secure-headers";
import type { Logger } from "pino";
import type { Config } from "../config.ts";
import { isLoopback } from "../config.ts";
import { Failure } from "../errors.ts";
import type { Assets } from "./assets.ts";
import type { Auth } from "./auth.ts";
import { createErrorHandler } from "./error-handler.tsx";
import { isAllowedOrigin } from "./origin.ts";
import { requestLog } from "./request-log.ts";
import { type ModelDeps, models } from "./routes/models.tsx";
import { type PageDeps, pages } from "./routes/pages.tsx";
import { type ProviderDeps, providers } from "./routes/providers.tsx";
import { type SessionDeps, sessions } from "./routes/sessions.ts";
import { signIn } from "./routes/sign-in.tsx";
import { type StatusDeps, status } from "./routes/status.ts";
import { type TokenDeps, tokens } from "./routes/tokens.ts";
import { type TranscriptSocketDeps, transcriptSocket } from "./routes/transcript-socket.ts";
import { type TranscriptDeps, transcripts } from "./routes/transcripts.ts";

export interface HttpDeps {
  config: Pick<Config, "corsOrigins" | "authPassword" | "authDisabled">;
  logger: Logger;
  auth: Auth;
  assets: Assets;
  routes: StatusDeps &
    TokenDeps &
    SessionDeps &
    TranscriptDeps &
    TranscriptSocketDeps &
    PageDeps &
    ModelDeps &
    ProviderDeps;
}

const MAX_BODY_BYTES = 256 * 1024;
const MAX_URL_LENGTH = 8192;

/** The whole HTTP side: what every request passes, in order, and every route. */
export function createServer(deps: HttpDeps): Hono {
  const { config, logger, auth, assets, routes } = deps;
  const app = new Hono();
  app.onError(createErrorHandler(logger, assets.url));
  app.notFound(() => {
    throw new Failure("not_found", "There is nothing at this address.");
  });

  app.use(requestId());
  app.use(requestLog(logger));
  app.use(securityHeaders(routes.livekitUrl));
  app.use(refuseStrangeRequests(config));
  app.use(crossOrigin(config.corsOrigins));
  app.use(refuseForeignForms(config.corsOrigins));
  app.use(bodyLimit({ maxSize: MAX_BODY_BYTES, onError: tooLarge }));
  app.use(auth.guard);
  app.use("/assets/*", compress());

  app.route("/", assets.routes);
  app.route("/", status(routes));
  app.route("/", signIn(auth, assets.url));
  app.route("/", tokens(routes));
  app.route("/", sessions(routes));
  app.route("/", transcripts(routes));
  app.route("/", transcriptSocket(routes));
  app.route("/", models(routes));
  app.route("/", providers(routes));
  app.route("/", pages(routes));
  return app;
}

/** Scripts and styles come from Parley alone; the page talks to it and to LiveKit. */
function securityHeaders(livekitUrl: string) {
  return secureHeaders({
    contentSecurityPolicy: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'"],
      imgSrc: ["'self'", "data:"],
      fontSrc: ["'self'"],
      mediaSrc: ["'self'", "blob:"],
      connectSrc: ["'self'", (c) => livekitSources(livekitUrl, c.req.header("Host"))],
      manifestSrc: ["'self'"],
      formAction: ["'self'"],
      frameAncestors: ["'none'"],
      baseUri: ["'none'"],
    },
    crossOriginEmbedderPolicy: false,
    strictTransportSecurity: false,
    permissionsPolicy: { microphone: ["self"], camera: [], geolocation: [], displayCapture: [] },
    referrerPolicy: "same-origin",
    xFrameOptions: "DENY",
  });
}

/**
 * LiveKit's address for a page: its signalling socket, and the same over HTTP, where livekit-client
 * asks why a connection was refused. A loopback server goes by either of its names, and a page
 * that was opened under another name of this machine looks for it there.
 */
function livekitSources(url: string, requestHost = ""): string {
  const { protocol, host, hostname, port } = new URL(url);
  const secure = protocol === "wss:" ? "s" : "";
  const names = new Set(["127.0.0.1", "localhost", hostName(requestHost)]);
  names.delete("");
  const hosts = isLoopback(hostname) ? [...names].map((name) => `${name}:${port}`) : [host];
  return hosts.flatMap((one) => [`ws${secure}://${one}`, `http${secure}://${one}`]).join(" ");
}

/**
 * Refuses requests that no person or program of good will sends: endless addresses, WebSockets
 * opened by foreign pages and, where nobody needs to sign in, host names that are not this
 * machine's. The last keeps a foreign page from reaching Parley by rebinding its own DNS name.
 */
function refuseStrangeRequests(config: HttpDeps["config"]) {
  const anyHost = config.authPassword !== undefined || config.authDisabled;
  return async (c: Context, next: () => Promise<void>) => {
    if (c.req.url.length > MAX_URL_LENGTH) {
      throw new Failure("invalid", "The address is too long.");
    }
    const host = c.req.header("Host");
    if (!anyHost && host !== undefined && !isLoopback(hostName(host))) {
      throw new Failure(
        "forbidden",
        "Without AUTH_PASSWORD, Parley answers only under localhost and loopback addresses.",
      );
    }
    const origin = c.req.header("Origin");
    const upgrade = c.req.header("Upgrade") !== undefined;
    if (upgrade && origin !== undefined && !isAllowedOrigin(origin, host, config.corsOrigins)) {
      throw new Failure(
        "forbidden",
        "This page may not open Parley's WebSocket; see CORS_ORIGINS.",
      );
    }
    await next();
  };
}

/** The name in a `Host` header; empty when it is none. */
function hostName(host: string): string {
  return /^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d+)?$/.exec(host)?.[1] ?? "";
}

function crossOrigin(allowed: string[]) {
  return cors({
    origin: (origin) => (isAllowedOrigin(origin, undefined, allowed) ? origin : null),
    allowMethods: ["GET", "POST", "DELETE"],
    allowHeaders: ["Content-Type", "Authorization"],
    exposeHeaders: ["Location", "Retry-After"],
    credentials: true,
    maxAge: 600,
  });
}

/**
 * Refuses what a foreign page could send without asking first. Browsers tell where such a request
 * comes from; one that does not tell is a program's, which may leave out the content type.
 */
function refuseForeignForms(allowed: string[]) {
  const check = csrf({
    origin: (origin, c) => isAllowedOrigin(origin, c.req.header("Host"), allowed),
  });
  return (c: Context, next: () => Promise<void>) => {
    const fromBrowser = c.req.header("Origin") ?? c.req.header("Sec-Fetch-Site");
    return fromBrowser === undefined ? next() : check(c, next);
  };
}

function tooLarge(): never {
  throw new Failure("too_large", `The body is larger than ${MAX_BODY_BYTES / 1024} KiB.`);
}
