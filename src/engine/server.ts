import type { Server } from "bun";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { cors } from "hono/cors";
import type { Logger } from "pino";
import { z } from "zod";
import type { EngineSettings } from "../domain/engine-settings.ts";
import { type LocalModel, localModel } from "../domain/model.ts";
import { once } from "../lib/lazy.ts";
import { isLoopback } from "../lib/loopback.ts";
import { authorise, protocolsOf } from "./access.ts";
import { createAudioTools } from "./audio-tools.ts";
import { EngineMetrics } from "./engine-metrics.ts";
import { LoadedModels, modelLoaders } from "./loaded-models.ts";
import { type LlamaGpu, loadSherpa } from "./native-libraries.ts";
import { clientOf, jsonBody, openAiError, parse, refusal } from "./openai-http.ts";
import { type RealtimeDeps, RealtimeSession } from "./realtime-session.ts";
import { chat } from "./routes/chat.ts";
import { speech } from "./routes/speech.ts";
import { transcriptions } from "./routes/transcriptions.ts";

interface ListenOptions {
  host: string;
  port: number;
  /** Undefined: requests from this machine need none, and others are refused. */
  apiKey: string | undefined;
  /** Whether the program that started the engine may change which models it serves. */
  supervised: boolean;
}

export interface EngineServer extends AsyncDisposable {
  readonly url: URL;
}

/** As much as OpenAI accepts. */
const MAX_BODY_BYTES = 25 * 1024 * 1024;
/** As much audio in one realtime message as OpenAI accepts, 15 MB, in base64. */
const MAX_MESSAGE_BYTES = 21 * 1024 * 1024;
/** The status of a WebSocket whose client does what it must not do (RFC 6455, 7.4.1). */
const POLICY_VIOLATION = 1008;
const REALTIME_PROTOCOL = "realtime";
/** nginx's status for a client that closed the connection; no client receives it. */
const CLIENT_CLOSED_REQUEST = 499;

/**
 * Runs the engine in this process. Models and libraries are loaded when they are first needed.
 *
 * @param options.vadModel resolves to the path of the Silero VAD model
 * @throws Error when the port is taken
 */
export function serveModels(
  options: ListenOptions & {
    models: readonly LocalModel[];
    settings: EngineSettings;
    /** Decides what language models compute on, when the first is loaded; unset: the processor. */
    gpu?: () => Promise<LlamaGpu>;
    vadModel: () => Promise<string>;
    logger: Logger;
  },
): EngineServer {
  const { logger } = options;
  const models = new LoadedModels({
    load: modelLoaders(options.settings, options.gpu ?? (async () => false)),
    // The program that supervises the engine reads `event` and `model`.
    onLoad: (event, { id }) => logger.info({ event, model: id }, `${event} ${id}`),
    // The program that supervises the engine ends it, which gives all memory back.
    keepAliveMs: options.supervised ? undefined : options.settings.keepAliveMs,
  });
  models.use(options.models);
  const audioTools = once(async () =>
    createAudioTools(await loadSherpa(), await options.vadModel()),
  );
  const server = serveEngine({ ...options, models, audioTools });
  return {
    url: server.url,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await models[Symbol.asyncDispose]();
    },
  };
}

export interface EngineServerOptions extends ListenOptions, RealtimeDeps {}

interface SocketData {
  model: string | undefined;
  client: string | undefined;
  session?: RealtimeSession;
}

/** Serves OpenAI's interface to local models. @throws Error when the port is taken */
export function serveEngine(options: EngineServerOptions): EngineServer {
  const app = engineApp(options);
  const server: Server<SocketData> = Bun.serve<SocketData>({
    hostname: options.host,
    port: options.port,
    maxRequestBodySize: MAX_BODY_BYTES,
    // A request may have to wait for others, and for a model to load.
    idleTimeout: 0,
    fetch: (request, bun) =>
      new URL(request.url).pathname === "/v1/realtime"
        ? upgrade(options, request, bun)
        : app.fetch(request),
    websocket: {
      maxPayloadLength: MAX_MESSAGE_BYTES,
      open(socket) {
        const connection = {
          send: (text: string) => void socket.send(text),
          end: (reason: string) => socket.close(POLICY_VIOLATION, reason),
        };
        socket.data.session = new RealtimeSession(options, connection, socket.data);
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
    // An answer that the client did not wait for is no error.
    if (c.req.raw.signal.aborted) return new Response(null, { status: CLIENT_CLOSED_REQUEST });
    return errorResponse(error, logger);
  });
  app.notFound((c) => {
    throw refusal("not_found", `There is no ${c.req.method} ${c.req.path} here.`);
  });
  app.get("/health", (c) => c.json({ status: "ok" }));
  // With the key any page may use the engine; where there is none, only pages of this machine may.
  app.use(cors({ origin: (origin) => (apiKey || isLocal(origin) ? origin : null) }));
  const metrics = new EngineMetrics(models);
  app.use(metrics.middleware);
  app.use(async (c, next) => {
    authorise(c.req.raw, apiKey);
    await next();
  });
  app.use(bodyLimit({ maxSize: MAX_BODY_BYTES, onError: refuseTooLarge }));
  app.get("/metrics", async (c) =>
    c.body(await metrics.text(), 200, { "Content-Type": metrics.contentType }),
  );
  app.route("/", modelList(models));
  app.route("/", transcriptions(options));
  app.route("/", chat(options));
  app.route("/", speech(options));
  if (supervised) app.route("/", supervision(models));
  return app;
}

function isLocal(origin: string): boolean {
  return isLoopback(URL.parse(origin)?.hostname ?? "");
}

/** `GET /v1/models` (https://platform.openai.com/docs/api-reference/models). */
function modelList(models: LoadedModels): Hono {
  const app = new Hono();
  const modelObject = (id: string) => ({ id, object: "model", created: 0, owned_by: "local" });
  app.get("/v1/models", (c) =>
    c.json({ object: "list", data: models.models.map(({ id }) => modelObject(id)) }),
  );
  app.get("/v1/models/:id{.+}", (c) => {
    const id = c.req.param("id");
    if (models.models.some((model) => model.id === id)) return c.json(modelObject(id));
    throw refusal("not_found", `There is no model ${JSON.stringify(id)} here.`, {
      code: "model_not_found",
      param: "model",
    });
  });
  return app;
}

const modelsRequest = z.object({
  models: z.array(localModel),
  /** By id: why a model must not be loaded. */
  broken: z.record(z.string(), z.string()),
});

/** How the program that started the engine sets its models, and has them loaded. */
function supervision(models: LoadedModels): Hono {
  const app = new Hono();
  app.put("/models", async (c) => {
    const body = parse(modelsRequest, await jsonBody(c.req));
    models.use(body.models, new Map(Object.entries(body.broken)));
    return c.body(null, 204);
  });
  app.post("/warm-up", async (c) => {
    await models.warmUp();
    return c.body(null, 204);
  });
  return app;
}

function refuseTooLarge(): never {
  throw refusal("too_large", `The body has more than ${MAX_BODY_BYTES / 1024 / 1024} MB.`);
}

function errorResponse(error: unknown, logger: Logger): Response {
  const { status, error: body } = openAiError(error);
  if (status >= 500) logger.error({ err: error }, "a request failed");
  return Response.json({ error: body }, { status });
}

/** Makes a request a WebSocket. @returns a response where it may not be one */
function upgrade(
  options: EngineServerOptions,
  request: Request,
  server: Server<SocketData>,
): Response | undefined {
  try {
    authorise(request, options.apiKey);
    const { searchParams } = new URL(request.url);
    if (searchParams.get("intent") !== "transcription") {
      throw refusal("invalid", "intent must be transcription: this engine has no other sessions.", {
        param: "intent",
      });
    }
    const model = searchParams.get("model") || undefined;
    if (model !== undefined) options.models.check("stt", model);
    const data: SocketData = { model, client: clientOf(request) };
    const offered = protocolsOf(request).includes(REALTIME_PROTOCOL);
    const headers = offered ? { "Sec-WebSocket-Protocol": REALTIME_PROTOCOL } : undefined;
    if (server.upgrade(request, { data, headers })) return undefined;
    throw refusal("invalid", "This address is a WebSocket: ask for an upgrade.");
  } catch (error) {
    return errorResponse(error, options.logger);
  }
}
