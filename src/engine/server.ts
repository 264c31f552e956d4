import { createHash, timingSafeEqual } from "node:crypto";
import type { Server } from "bun";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { z } from "zod";
import { isLoopback } from "../lib/loopback.ts";
import { clientOf } from "./client.ts";
import { localModel } from "./local-model.ts";
import { jsonBody, openAiError, parse, refusal } from "./openai-error.ts";
import { RealtimeSession } from "./realtime-session.ts";
import type { RouteDeps } from "./route-deps.ts";
import { chat } from "./routes/chat.ts";
import { speech } from "./routes/speech.ts";
import { transcriptions } from "./routes/transcriptions.ts";

export interface EngineServerOptions extends RouteDeps {
  host: string;
  port: number;
  /** Undefined: everybody who reaches the port may use it. */
  apiKey: string | undefined;
  /** Whether the program that started it may change what it serves. */
  supervised: boolean;
}

export interface EngineServer extends AsyncDisposable {
  readonly url: URL;
}

/** As much as OpenAI takes. */
const MAX_BODY_BYTES = 25 * 1024 * 1024;
/** A realtime message: over ten seconds of audio. */
const MAX_MESSAGE_BYTES = 2 * 1024 * 1024;
/** Browsers cannot send a header with a WebSocket: OpenAI's client puts the key here. */
const KEY_PROTOCOL = "openai-insecure-api-key.";
const REALTIME_PROTOCOL = "realtime";

/** As nginx has it; nobody gets to see it. */
const CLIENT_GONE = 499;

interface SocketData {
  model: string | undefined;
  client: string | undefined;
  session?: RealtimeSession;
}

/** Serves OpenAI's interface to the models of this machine. @throws Error when the port is taken */
export function serveEngine(options: EngineServerOptions): EngineServer {
  const app = engineApp(options);
  const server: Server<SocketData> = Bun.serve<SocketData>({
    hostname: options.host,
    port: options.port,
    maxRequestBodySize: MAX_BODY_BYTES,
    // A request may wait for others, and for a model to load.
    idleTimeout: 0,
    fetch: (request, bun) =>
      new URL(request.url).pathname === "/v1/realtime"
        ? upgrade(options, request, bun)
        : app.fetch(request),
    websocket: {
      maxPayloadLength: MAX_MESSAGE_BYTES,
      open(socket) {
        socket.data.session = new RealtimeSession(
          options,
          (text) => socket.send(text),
          socket.data,
        );
      },
      message(socket, message) {
        socket.data.session?.receive(message.toString());
      },
      close(socket) {
        socket.data.session?.close();
      },
    },
  });
  return { url: server.url, [Symbol.asyncDispose]: () => server.stop(true) };
}

function engineApp(options: EngineServerOptions): Hono {
  const { apiKey, models, logger, supervised } = options;
  const app = new Hono();
  app.onError((error, c) => {
    // Nobody waits for an answer any more, and that it broke off is no error.
    if (c.req.raw.signal.aborted) return new Response(null, { status: CLIENT_GONE });
    return answerError(error, logger);
  });
  app.notFound((c) => {
    throw refusal("not_found", `There is no ${c.req.method} ${c.req.path} here.`);
  });
  app.get("/health", (c) => c.json({ status: "ok" }));
  app.use(async (c, next) => {
    admit(c.req.raw, apiKey);
    await next();
  });
  app.use(bodyLimit({ maxSize: MAX_BODY_BYTES, onError: tooLarge }));
  const shown = (id: string) => ({ id, object: "model", created: 0, owned_by: "local" });
  app.get("/v1/models", (c) =>
    c.json({ object: "list", data: models.models.map(({ id }) => shown(id)) }),
  );
  app.get("/v1/models/:id{.+}", (c) => {
    const id = c.req.param("id");
    if (models.models.some((model) => model.id === id)) return c.json(shown(id));
    throw refusal("not_found", `There is no model ${JSON.stringify(id)} here.`, {
      code: "model_not_found",
      param: "model",
    });
  });
  app.route("/", transcriptions(options));
  app.route("/", chat(options));
  app.route("/", speech(options));
  if (supervised) app.route("/", supervision(options));
  return app;
}

/** What is served, as the program that started the engine says. */
const served = z.object({
  models: z.array(localModel),
  /** By id, what to say of models that must not be loaded. */
  broken: z.record(z.string(), z.string()),
});

function supervision({ models }: RouteDeps): Hono {
  const app = new Hono();
  app.put("/models", async (c) => {
    const body = parse(served, await jsonBody(c.req));
    models.use(body.models, new Map(Object.entries(body.broken)));
    return c.body(null, 204);
  });
  app.post("/warm-up", async (c) => {
    await models.warmUp();
    return c.body(null, 204);
  });
  return app;
}

function tooLarge(): never {
  throw refusal("too_large", `The body has more than ${MAX_BODY_BYTES / 1024 / 1024} MB.`);
}

/** @throws Failure for those who may not use the engine */
function admit(request: Request, apiKey: string | undefined): void {
  if (apiKey === undefined) {
    refuseForeignPages(request);
  } else if (!isAuthorized(request, apiKey)) {
    throw wrongKey();
  }
}

function wrongKey() {
  return refusal("unauthorized", "The API key is missing or wrong.", { code: "invalid_api_key" });
}

/**
 * Without a key, whoever is on this machine may use the engine. Pages of elsewhere are not, though
 * they may reach it through the browser, also by a DNS name of their own.
 */
function refuseForeignPages({ headers }: Request): void {
  const origin = headers.get("origin");
  const host = URL.parse(`http://${headers.get("host")}`);
  const from = origin === null ? host : URL.parse(origin);
  if (host && from && isLoopback(host.hostname) && isLoopback(from.hostname)) return;
  throw refusal("forbidden", "Without ENGINE_API_KEY the engine serves this machine only.");
}

function answerError(error: unknown, logger: RouteDeps["logger"]): Response {
  const { status, error: told } = openAiError(error);
  if (status >= 500) logger.error({ err: error }, "a request failed");
  return Response.json({ error: told }, { status });
}

function upgrade(
  options: EngineServerOptions,
  request: Request,
  server: Server<SocketData>,
): Response | undefined {
  try {
    admit(request, options.apiKey);
    const { searchParams } = new URL(request.url);
    if (searchParams.get("intent") !== "transcription") {
      throw refusal("invalid", "intent must be transcription: this engine has no other sessions.", {
        param: "intent",
      });
    }
    const model = searchParams.get("model") || undefined;
    if (model !== undefined) options.models.check("stt", model);
    const data: SocketData = { model, client: clientOf(request) };
    const asked = protocolsOf(request).includes(REALTIME_PROTOCOL);
    const headers = asked ? { "Sec-WebSocket-Protocol": REALTIME_PROTOCOL } : undefined;
    if (server.upgrade(request, { data, headers })) return undefined;
    throw refusal("invalid", "This address is a WebSocket: ask for an upgrade.");
  } catch (error) {
    return answerError(error, options.logger);
  }
}

function protocolsOf(request: Request): string[] {
  const header = request.headers.get("sec-websocket-protocol") ?? "";
  return header.split(",").map((protocol) => protocol.trim());
}

function isAuthorized(request: Request, apiKey: string): boolean {
  const bearer = /^Bearer (.+)$/.exec(request.headers.get("authorization") ?? "")?.[1];
  const protocol = protocolsOf(request).find((one) => one.startsWith(KEY_PROTOCOL));
  const given = bearer ?? protocol?.slice(KEY_PROTOCOL.length) ?? "";
  // As digests: of the same length, whatever was given.
  return timingSafeEqual(digest(given), digest(apiKey));
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
