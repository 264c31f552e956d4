import { createHash, timingSafeEqual } from "node:crypto";
import { isLoopback } from "../lib/loopback.ts";
import { refusal } from "./openai-http.ts";

/** Browsers cannot send a header with a WebSocket, so OpenAI's client puts the key here. */
const KEY_PROTOCOL = "openai-insecure-api-key.";

/**
 * Checks that a request may use the engine: it has the key or, where none is set, comes from this
 * machine.
 *
 * @throws Failure `unauthorized` or `forbidden`
 */
export function authorise(request: Request, apiKey: string | undefined): void {
  if (apiKey === undefined) {
    refuseForeignPages(request);
  } else if (!hasKey(request, apiKey)) {
    throw refusal("unauthorized", "The API key is missing or wrong.", { code: "invalid_api_key" });
  }
}

/** The subprotocols that a WebSocket's client offers. */
export function protocolsOf(request: Request): string[] {
  const header = request.headers.get("sec-websocket-protocol") ?? "";
  return header.split(",").map((protocol) => protocol.trim());
}

/**
 * Without a key, every program on this machine may use the engine. Pages of other sites could reach
 * it through the browser too, also under a DNS name that resolves to loopback, and are refused.
 */
function refuseForeignPages({ headers }: Request): void {
  const origin = headers.get("origin");
  const host = URL.parse(`http://${headers.get("host")}`);
  const from = origin === null ? host : URL.parse(origin);
  if (host && from && isLoopback(host.hostname) && isLoopback(from.hostname)) return;
  throw refusal("forbidden", "Without ENGINE_API_KEY the engine serves this machine only.");
}

function hasKey(request: Request, apiKey: string): boolean {
  const bearer = /^Bearer (.+)$/.exec(request.headers.get("authorization") ?? "")?.[1];
  const protocol = protocolsOf(request).find((one) => one.startsWith(KEY_PROTOCOL));
  const given = bearer ?? protocol?.slice(KEY_PROTOCOL.length) ?? "";
  // Digests have the same length whatever was given, as timingSafeEqual requires.
  return timingSafeEqual(digest(given), digest(apiKey));
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
