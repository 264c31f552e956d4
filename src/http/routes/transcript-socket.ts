import { Hono } from "hono";
import { z } from "zod";
import { sessionId } from "../../domain/session.ts";
import { Failure } from "../../errors.ts";
import type { Hub } from "../../transcript/hub.ts";
import type { HubClient } from "../../transcript/subscriber.ts";
import { parse } from "../request.ts";

export interface TranscriptSocketDeps {
  hub: Pick<Hub, "has">;
}

/** The data of a WebSocket, set at its upgrade. */
interface SocketData {
  sessionId: string;
  after: number | undefined;
  client?: HubClient;
}

/** Clients send nothing of use; a longer message closes the socket with 1009. */
const MAX_RECEIVED_BYTES = 1024;
/** A connection that is silent for this long is pinged, and closed without a pong, in s. */
const IDLE_S = 60;

const query = z.object({
  after: z
    .string()
    .regex(/^\d{1,15}$/, "after is not a whole number from 0 up")
    .transform(Number)
    .optional(),
});

/**
 * `GET /ws/transcript/:session_id?after=SEQ`, a WebSocket for `transcriptSocketHandlers`. The app
 * must have been called as `app.fetch(request, server)` with Bun's server.
 */
export function transcriptSocketRoutes({ hub }: TranscriptSocketDeps): Hono {
  const app = new Hono();
  app.get("/ws/transcript/:session_id", async (c) => {
    const id = sessionId.safeParse(c.req.param("session_id")).data?.toLowerCase();
    const { after } = parse(query, c.req.query());
    if (id === undefined || !(await hub.has(id))) {
      throw new Failure("not_found", "There is no session of this id.");
    }
    const data: SocketData = { sessionId: id, after };
    if (!upgrade(c.env, c.req.raw, data)) {
      throw new Failure("invalid", "This address is a WebSocket: ask for an upgrade.");
    }
    // Bun has already answered 101 and ignores this response.
    return new Response(null);
  });
  return app;
}

function upgrade(server: unknown, request: Request, data: SocketData): boolean {
  if (!isUpgrader(server)) return false;
  return server.upgrade(request, { data });
}

type Upgrader = Pick<Bun.Server<SocketData>, "upgrade">;

function isUpgrader(value: unknown): value is Upgrader {
  return typeof value === "object" && value !== null && "upgrade" in value;
}

/** Bun's `websocket` option: connects the sockets that `transcriptSocketRoutes` upgraded with the hub. */
export function transcriptSocketHandlers(
  hub: Pick<Hub, "connect" | "disconnect" | "drained">,
  idleTimeout: number = IDLE_S,
): Bun.WebSocketHandler<SocketData> {
  return {
    idleTimeout,
    sendPings: true,
    maxPayloadLength: MAX_RECEIVED_BYTES,
    // The hub has its own bound; Bun's would silently drop messages.
    backpressureLimit: 0,
    open(socket) {
      const client: HubClient = {
        send: (text) => void socket.send(text),
        bufferedBytes: () => socket.getBufferedAmount(),
        close: (code, reason) => socket.close(code, reason),
      };
      socket.data.client = client;
      void hub.connect(client, socket.data.sessionId, socket.data.after);
    },
    message() {
      // Messages of clients are ignored.
    },
    drain(socket) {
      if (socket.data.client) hub.drained(socket.data.client);
    },
    close(socket) {
      if (socket.data.client) hub.disconnect(socket.data.client);
    },
  };
}
