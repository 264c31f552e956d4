/** A provider that quotes, in every error it gives, the key it was called with. */
export interface HostileProvider extends AsyncDisposable {
  /** Base URL for `OPENAI_BASE_URL`. */
  url: string;
  /** The keys it has quoted. */
  quoted: string[];
  /** From now on it passes requests on to the good provider behind it. */
  calm(): void;
}

/** @param behind base URL of a good provider */
export function openHostileProvider(behind: string): HostileProvider {
  let hostile = true;
  const quoted: string[] = [];
  const quoting = (key: string) => {
    quoted.push(key);
    return { type: "x", code: "x", message: `Incorrect API key provided: <b>${key}</b>` };
  };
  const server = Bun.serve<{ key: string }>({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    fetch: async (request, bun) => {
      const key = request.headers.get("Authorization") ?? "";
      const path = new URL(request.url).pathname.replace(/^\/v1/, "");
      if (path === "/models") return Response.json({ data: [] });
      if (request.headers.get("Upgrade") === "websocket") {
        return bun.upgrade(request, { data: { key } }) ? undefined : new Response("no");
      }
      if (hostile) return Response.json({ error: quoting(key) }, { status: 401 });
      const { method, headers } = request;
      return fetch(`${behind}${path}`, { method, headers, body: await request.arrayBuffer() });
    },
    websocket: {
      message: (socket, message) => {
        if (!String(message).includes("input_audio_buffer.commit")) return;
        socket.send(JSON.stringify({ type: "error", error: quoting(socket.data.key) }));
      },
    },
  });
  return {
    url: `${server.url.origin}/v1`,
    quoted,
    calm: () => {
      hostile = false;
    },
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}
