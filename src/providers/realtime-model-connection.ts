import type { ProviderEndpoint } from "../domain/stage.ts";
import { messageOf } from "../errors.ts";
import { fieldOf } from "../lib/json.ts";
import { authorization } from "./authorization.ts";
import { errorCodeOf } from "./realtime-model-errors.ts";

/** An event of the server: an object with a `type`. */
export type ServerEvent = Record<string, unknown> & { type: string };

/** A server that leaves so much unread does not read any more, in bytes; a minute has 4 MB. */
export const MAX_UNREAD = 8 << 20;

/**
 * The WebSocket of a realtime model, in the form in which the plugin uses one. What arrives is
 * checked first, and the server's own texts about errors are taken out, because the plugin logs
 * them and they may quote the key.
 */
export class RealtimeModelConnection {
  onmessage: ((message: { data: string }) => void) | null = null;
  onclose: (() => void) | null = null;
  /** The plugin sets it; a broken connection is always reported as closed. */
  onerror: unknown = null;
  readonly #socket: WebSocket;

  /** @param onEvent gets each event before the plugin does */
  constructor(socket: WebSocket, onEvent: (event: ServerEvent) => void) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      const event = serverEvent(data);
      if (event === undefined) return;
      removeServerText(event);
      onEvent(event);
      this.onmessage?.({ data: JSON.stringify(event) });
    };
    socket.onerror = () => {};
    socket.onclose = () => this.#closed();
  }

  get readyState(): number {
    return this.#socket.readyState;
  }

  send(text: string): void {
    this.#socket.send(text);
    if (this.#socket.bufferedAmount > MAX_UNREAD) this.close();
  }

  /** Closes without waiting for the server, which may hang. */
  close(): void {
    this.#socket.close();
    this.#closed();
  }

  #closed(): void {
    const report = this.onclose;
    this.onclose = null;
    report?.();
  }
}

/** Where a server's realtime model is reached. */
function realtimeModelUrl(baseURL: string, model: string): URL {
  const url = new URL(`${baseURL.replace(/^http/, "ws")}/realtime`);
  url.searchParams.set("model", model);
  return url;
}

/**
 * Opens the WebSocket of a realtime model.
 *
 * @throws Error with the `status` of a refusal; one that says so when the server does not answer
 *   within `timeoutMs`
 */
export async function openRealtimeModel(
  provider: ProviderEndpoint & { model: string },
  timeoutMs: number,
): Promise<WebSocket> {
  const url = realtimeModelUrl(provider.baseURL, provider.model);
  const socket = new WebSocket(url, { headers: authorization(provider) });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => reject(new Error("timeout: no connection")), timeoutMs);
  socket.onopen = () => resolve();
  socket.onerror = () => {};
  socket.onclose = () => reject(new Error("the connection was refused"));
  try {
    await promise;
    return socket;
  } catch (error) {
    socket.close();
    const status = await refusalStatus(url, provider, timeoutMs);
    throw status === undefined ? error : Object.assign(new Error(messageOf(error)), { status });
  } finally {
    clearTimeout(timer);
    socket.onclose = null;
  }
}

/** The error status that the address answers with; the WebSocket itself does not tell it. */
async function refusalStatus(
  url: URL,
  provider: ProviderEndpoint,
  timeoutMs: number,
): Promise<number | undefined> {
  try {
    const response = await fetch(url.href.replace(/^ws/, "http"), {
      headers: authorization(provider),
      signal: AbortSignal.timeout(timeoutMs),
    });
    await response.body?.cancel();
    const { status } = response;
    // Others, such as 426, say only that this was not a WebSocket.
    return [401, 403, 404, 429].includes(status) || status >= 500 ? status : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Whether a realtime model can be talked to: connects, and has the server accept a session.
 *
 * @returns ms until the session was accepted
 * @throws what `realtimeModelError` understands; it may hold the server's text
 */
export async function tryRealtimeModel(
  provider: ProviderEndpoint & { model: string; voice: string },
  timeoutMs: number,
): Promise<number> {
  const startedAt = performance.now();
  const socket = await openRealtimeModel(provider, timeoutMs);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => reject(new Error("timeout: no session")), timeoutMs);
  socket.onclose = () => reject(new Error("the connection closed"));
  socket.onmessage = ({ data }) => {
    const event = serverEvent(data);
    if (event?.type === "session.updated") resolve();
    if (event?.type === "error") reject({ error: event["error"] });
  };
  const audio = { output: { voice: provider.voice } };
  const session = { type: "realtime", model: provider.model, audio };
  socket.send(JSON.stringify({ type: "session.update", session }));
  try {
    await promise;
    return performance.now() - startedAt;
  } finally {
    clearTimeout(timer);
    socket.onclose = null;
    socket.close();
  }
}

function serverEvent(data: unknown): ServerEvent | undefined {
  try {
    const event: unknown = JSON.parse(String(data));
    if (typeof fieldOf(event, "type") !== "string") return undefined;
    return event as ServerEvent;
  } catch {
    return undefined;
  }
}

/** The plugin tells by this text that there was nothing to cancel, which is no failure. */
const NOTHING_TO_CANCEL = "Cancellation failed";

/** Replaces what the server wrote about an error by its code. */
function removeServerText(event: ServerEvent): void {
  const details = fieldOf(fieldOf(event["response"], "status_details"), "error");
  for (const error of [event["error"], details]) {
    if (typeof error !== "object" || error === null) continue;
    const text = String(fieldOf(error, "message"));
    const cancelled = text.startsWith(NOTHING_TO_CANCEL);
    Object.assign(error, {
      message: cancelled ? NOTHING_TO_CANCEL : `error: ${errorCodeOf(error) ?? "unknown"}`,
    });
  }
  // Servers that send `error` as a plain text exist; the plugin expects an object.
  if (event.type === "error" && typeof event["error"] !== "object") {
    event["error"] = { type: "server_error", message: "error: unknown" };
  }
}
