import type { Context } from "hono";
import { codeOf, Failure, messageOf } from "../errors.ts";

/**
 * How long a request may take to arrive with its body, in s; Bun then closes the connection. Bun
 * counts the time from the request's first bytes, whatever arrives in between.
 */
export const ARRIVAL_S = 60;

/** What the middleware uses of Bun's server. */
type Server = Pick<Bun.Server<unknown>, "timeout" | "pendingRequests" | "pendingWebSockets">;

/**
 * Listens for HTTP requests and WebSockets.
 *
 * @param onError answers a request whose `fetch` throws, which is an error of Parley's
 * @throws Failure when the address cannot be used
 */
export function listen<T>(
  {
    host,
    port,
    arrivalS = ARRIVAL_S,
  }: { host: string; port: number; arrivalS?: number | undefined },
  fetch: (request: Request, server: Bun.Server<T>) => Response | Promise<Response>,
  websocket: Bun.WebSocketHandler<T>,
  onError: (error: unknown) => Response,
): Bun.Server<T> {
  try {
    return Bun.serve({
      hostname: host,
      port,
      fetch,
      websocket,
      error: onError,
      idleTimeout: arrivalS,
      // Parley has its own limit, whose answer says why.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      // Otherwise Bun answers errors with a page that shows source text.
      development: false,
    });
  } catch (error) {
    const taken = codeOf(error) === "EADDRINUSE";
    const why = taken ? "another program listens there" : messageOf(error);
    throw new Failure(
      "unavailable",
      `Parley cannot listen on ${host}:${port}: ${why}. Set HOST and PORT to something else.`,
      { cause: error },
    );
  }
}

/** How often it is looked whether requests are still being answered, in ms. */
const LOOK_MS = 10;

/** Takes no more requests, lets those that are being answered end for `ms`, and closes the rest. */
export async function stopListening(
  server: Pick<Bun.Server<unknown>, "stop" | "pendingRequests">,
  ms: number,
): Promise<void> {
  void server.stop();
  const deadline = performance.now() + ms;
  while (server.pendingRequests > 0 && performance.now() < deadline) await Bun.sleep(LOOK_MS);
  await server.stop(true);
}

/** The server that a request came through; undefined if the app was called without one. */
export function serverOf(c: Context): Server | undefined {
  return isServer(c.env) ? c.env : undefined;
}

function isServer(value: unknown): value is Server {
  return typeof value === "object" && value !== null && "pendingWebSockets" in value;
}
