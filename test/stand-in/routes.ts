import type { Server } from "bun";
import { failure, hang, refuse, reset, type StandInContext, statusFault } from "./answer.ts";
import { completions } from "./chat.ts";
import type { Receiver } from "./dialect.ts";
import type { LoggedRequest } from "./log.ts";
import { withQuirks } from "./quirks.ts";
import { RealtimeSession, type Wire } from "./realtime.ts";
import { RealtimeModelSession } from "./realtime-model.ts";
import { speech } from "./speech.ts";
import { transcriptions } from "./transcription.ts";

interface SocketData {
  model: string;
  /** Only transcription was asked for. */
  transcribes: boolean;
  cut: boolean;
  session?: RealtimeSession | RealtimeModelSession;
  receiver?: Receiver;
}

const MODELS = ["gpt-4o-mini", "gpt-4o-mini-transcribe", "gpt-4o-mini-tts", "whisper-1", "tts-1"];

/** A server that listens. */
export interface Listener {
  /** Where, without a path. */
  readonly url: URL;
  /** Number of open realtime connections. */
  realtimeConnections(): number;
  /** Ends the sessions of the realtime model. */
  expireRealtimeModels(): void;
  /** Closes all connections and the port. */
  stop(): Promise<void>;
}

/**
 * Serves every endpoint on loopback.
 *
 * @throws Error when the port is taken.
 */
export function serve(
  context: StandInContext,
  options: { port?: number; apiKey?: string },
): Listener {
  const sockets = new Set<RealtimeSession | RealtimeModelSession>();
  const server = Bun.serve<SocketData>({
    hostname: "127.0.0.1",
    port: options.port ?? 0,
    // A fault may keep a request open for as long as a client waits.
    idleTimeout: 0,
    fetch: (request, bun) => {
      const upgrades = request.headers.get("upgrade")?.toLowerCase() === "websocket";
      if (upgrades) return route(context, options.apiKey, request, bun);
      return withQuirks(
        async (passed) => (await route(context, options.apiKey, passed, bun)) ?? new Response(),
        context.quirks,
      )(request);
    },
    websocket: {
      open(socket) {
        const { data } = socket;
        const begin = (wire: Wire) => {
          const session = data.transcribes
            ? new RealtimeSession(context, wire, data.model)
            : new RealtimeModelSession(context, wire, data.model);
          data.session = session;
          sockets.add(session);
          return session;
        };
        data.receiver = context.dialect?.connect(socket, begin) ?? begin(socket);
        if (data.cut) socket.terminate();
      },
      message(socket, message) {
        socket.data.receiver?.receive(message.toString());
      },
      close(socket) {
        const { session } = socket.data;
        if (session === undefined) return;
        session.close();
        sockets.delete(session);
      },
    },
  });
  return {
    url: server.url,
    realtimeConnections: () => sockets.size,
    expireRealtimeModels: () => {
      for (const one of sockets) if (one instanceof RealtimeModelSession) one.expire();
    },
    stop: () => server.stop(true),
  };
}

async function route(
  context: StandInContext,
  apiKey: string | undefined,
  request: Request,
  server: Server<SocketData>,
): Promise<Response | undefined> {
  const { pathname, searchParams } = new URL(request.url);
  if (apiKey !== undefined && request.headers.get("authorization") !== `Bearer ${apiKey}`) {
    return unauthorized(context, pathname);
  }
  const { log } = context;
  switch (`${request.method} ${pathname}`) {
    case "POST /v1/audio/transcriptions":
      return transcriptions(context, log.begin("stt"), request);
    case "POST /v1/chat/completions":
      return completions(context, log.begin("llm"), request);
    case "POST /v1/audio/speech":
      return speech(context, log.begin("tts"), request);
    case "GET /v1/models":
      log.end(log.begin("models"), "done");
      return Response.json({
        object: "list",
        data: MODELS.map((id) => ({ id, object: "model", created: 0, owned_by: "stand-in" })),
      });
    case "GET /v1/realtime":
      if (context.realtime)
        return upgrade(context, request, server, searchParams.get("model") ?? "");
  }
  return failure(404, `Invalid URL (${request.method} ${pathname})`);
}

const STAGES: Readonly<Record<string, LoggedRequest["stage"]>> = {
  "/v1/audio/transcriptions": "stt",
  "/v1/realtime": "stt",
  "/v1/chat/completions": "llm",
  "/v1/audio/speech": "tts",
  "/v1/models": "models",
};

function unauthorized(context: StandInContext, pathname: string): Response {
  const stage = STAGES[pathname];
  if (stage === undefined) return failure(401, "Incorrect API key provided.", "invalid_api_key");
  const entry = context.log.begin(stage, pathname === "/v1/realtime" ? "realtime" : "http");
  return statusFault(context, entry, { kind: "status", status: 401 });
}

/** Opens a realtime connection, unless a fault of the stage `stt` waits for it. */
async function upgrade(
  context: StandInContext,
  request: Request,
  server: Server<SocketData>,
  model: string,
): Promise<Response | undefined> {
  const transcribes = new URL(request.url).searchParams.get("intent") === "transcription";
  // A realtime model meets the faults of its stages once it is asked for an answer.
  const fault = transcribes ? context.controls.take("stt") : undefined;
  if (fault !== undefined) {
    const entry = context.log.begin("stt", "realtime");
    context.log.note(entry, { fault: fault.kind, model });
    if (fault.kind === "cut") {
      context.log.end(entry, "failed");
      if (server.upgrade(request, { data: { model, transcribes, cut: true } })) return undefined;
    }
    if (fault.kind === "status") return statusFault(context, entry, fault);
    if (fault.kind === "refuse") return reset(context, entry);
    const response = await hang(AbortSignal.any([request.signal, context.closing]));
    context.log.end(entry, context.closing.aborted ? "failed" : "aborted");
    return response;
  }
  if (server.upgrade(request, { data: { model, transcribes, cut: false } })) return undefined;
  const entry = context.log.begin("stt", "realtime");
  return refuse(context, entry, 426, "expected a WebSocket upgrade");
}
