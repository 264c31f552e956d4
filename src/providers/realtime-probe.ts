import type { ProviderEndpoint } from "../domain/stage.ts";
import { authorization } from "./authorization.ts";
import { realtimeUrl, sessionUpdate } from "./realtime-transcription.ts";

/** Whether a server transcribes over its realtime WebSocket, and if not, why. */
export type RealtimeVerdict =
  | { works: true }
  | {
      works: false;
      /** In Parley's words, to follow "the server". */
      why: string;
      /** Whether the server has said so itself and will not say otherwise in a minute. */
      isCertain: boolean;
    };

/** How the servers that follow OpenAI confirm a `session.update`. */
const CONFIRMED = new Set(["session.updated", "transcription_session.updated"]);

/**
 * Asks a server whether its `/realtime` transcribes. Many open that WebSocket for something else,
 * so it counts only when the server confirms a session for transcription. Never throws.
 *
 * @param answerMs how long the server may take
 */
export function probeRealtime(
  provider: ProviderEndpoint,
  model: string,
  answerMs: number,
): Promise<RealtimeVerdict> {
  const { promise, resolve } = Promise.withResolvers<RealtimeVerdict>();
  const no = (why: string, isCertain = true) => resolve({ works: false, why, isCertain });
  const headers = { ...authorization(provider) };
  const socket = new WebSocket(realtimeUrl(provider.baseURL, model), { headers });
  let isOpen = false;
  const timer = setTimeout(() => no("does not answer session.update", isOpen), answerMs);
  socket.onopen = () => {
    isOpen = true;
    socket.send(JSON.stringify(sessionUpdate({ model, language: null })));
  };
  socket.onmessage = ({ data }) => {
    const event = objectIn(data);
    if (event === undefined) return no("sends something else than OpenAI's events");
    const type = String(event["type"]);
    if (type === "error") return no("refuses a session for transcription");
    if (!CONFIRMED.has(type)) return;
    return isForTranscription(event["session"])
      ? resolve({ works: true })
      : no("opens a session for something else");
  };
  socket.onerror = () => no("opens no WebSocket for realtime transcription", false);
  socket.onclose = ({ code }) =>
    isOpen
      ? no(`closes the connection (${code})`)
      : no("opens no WebSocket for realtime transcription", false);
  return promise.finally(() => {
    clearTimeout(timer);
    socket.close();
  });
}

/** Servers that do not tell the type of a session have only one. */
function isForTranscription(session: unknown): boolean {
  if (typeof session !== "object" || session === null) return true;
  const type: unknown = Reflect.get(session, "type");
  return typeof type !== "string" || type === "transcription";
}

function objectIn(data: unknown): Record<string, unknown> | undefined {
  if (typeof data !== "string") return undefined;
  try {
    const value: unknown = JSON.parse(data);
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
