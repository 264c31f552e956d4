import { secureHeaders } from "hono/secure-headers";
import { isLoopback } from "../lib/loopback.ts";
import { hostName } from "./origin.ts";

/** Security headers. Scripts and styles come from Parley alone; the page talks to it and to LiveKit. */
export function securityHeaders(livekitUrl: () => string) {
  return secureHeaders({
    contentSecurityPolicy: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'"],
      imgSrc: ["'self'", "data:"],
      fontSrc: ["'self'"],
      mediaSrc: ["'self'", "blob:"],
      connectSrc: ["'self'", (c) => livekitSources(livekitUrl(), c.req.header("Host"))],
      manifestSrc: ["'self'"],
      formAction: ["'self'"],
      frameAncestors: ["'none'"],
      baseUri: ["'none'"],
    },
    crossOriginEmbedderPolicy: false,
    strictTransportSecurity: false,
    permissionsPolicy: { microphone: ["self"], camera: [], geolocation: [], displayCapture: [] },
    referrerPolicy: "same-origin",
    xFrameOptions: "DENY",
  });
}

/**
 * LiveKit's address for a page: its signalling socket, and the same over HTTP, where livekit-client
 * asks why a connection was refused. A loopback server is reachable under either of its names, and
 * a page that was opened under another name of this machine connects to that name.
 */
function livekitSources(url: string, requestHost = ""): string {
  const { protocol, host, hostname, port } = new URL(url);
  const secure = protocol === "wss:" ? "s" : "";
  const names = new Set(["127.0.0.1", "localhost", hostName(requestHost)]);
  names.delete("");
  const hosts = isLoopback(hostname) ? [...names].map((name) => `${name}:${port}`) : [host];
  return hosts.flatMap((one) => [`ws${secure}://${one}`, `http${secure}://${one}`]).join(" ");
}
