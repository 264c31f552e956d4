import { codeOf, Failure, messageOf } from "../errors.ts";

/**
 * Listens for HTTP requests and WebSockets.
 *
 * @throws Failure when the address cannot be used
 */
export function listen<T>(
  { host, port }: { host: string; port: number },
  fetch: (request: Request, server: Bun.Server<T>) => Response | Promise<Response>,
  websocket: Bun.WebSocketHandler<T>,
): Bun.Server<T> {
  try {
    return Bun.serve({ hostname: host, port, fetch, websocket, idleTimeout: 60 });
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
