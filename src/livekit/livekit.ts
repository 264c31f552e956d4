import type { Logger } from "pino";
import { reachability } from "./reachable.ts";
import { findLiveKitServer } from "./server-binary.ts";
import { startLiveKitServer } from "./server-process.ts";

export interface LiveKitOptions {
  /** A server that runs already; undefined: Parley starts its own. */
  existing: Pick<LiveKitAccess, "url" | "publicUrl" | "apiKey" | "apiSecret"> | undefined;
  /** What browsers connect to, where it differs from the own server's address. */
  publicUrl: string | undefined;
  /** The own server's executable, if one is configured. */
  bin: string | undefined;
  /** The executable that this program carries, if any. */
  embedded: (() => Promise<string>) | undefined;
  /** Where a downloaded or built executable is kept. */
  dataDir: string;
  /** What the search for the executable, and its build, may use (`PATH`, proxies). */
  env: Readonly<Record<string, string | undefined>>;
  logger: Logger;
}

/** How to reach the LiveKit server on which sessions run. */
export interface LiveKitAccess {
  url: string;
  /** What browsers connect to. */
  publicUrl: string;
  apiKey: string;
  apiSecret: string;
  /**
   * Resolves when Parley's own server answers a request that is sent now, and at once for another
   * one; rejects with a Failure when Parley's own cannot be started.
   */
  ready(): Promise<void>;
  /**
   * Resolves when the server can be reached, also one that is not Parley's; rejects with a Failure.
   * For those who send people there.
   */
  reachable(): Promise<void>;
  /** How often Parley's own server was started again. */
  restarts: number;
  /** What to do when it cannot be reached. */
  hint: string;
}

/** How long a server elsewhere is asked whether it can be reached, in ms. */
const GIVE_UP_MS = 10_000;

/** Starts Parley's own LiveKit server, or uses the one that is configured. Returns at once. */
export function openLiveKit(options: LiveKitOptions): LiveKitAccess & AsyncDisposable {
  const { existing, publicUrl, bin, embedded, dataDir, env, logger } = options;
  if (existing) {
    return {
      ...existing,
      ready: async () => {},
      reachable: reachability(existing.url, GIVE_UP_MS),
      restarts: 0,
      hint: "Check LIVEKIT_URL and its keys, then try again.",
      [Symbol.asyncDispose]: async () => {},
    };
  }
  const server = startLiveKitServer({
    binary: (signal) => findLiveKitServer({ bin, embedded, dataDir, env, signal, logger }),
    logger,
  });
  // Getters, since a server that must move to another port has another address and other keys.
  return {
    get url() {
      return server.url;
    },
    get publicUrl() {
      return publicUrl ?? server.url;
    },
    get apiKey() {
      return server.apiKey;
    },
    get apiSecret() {
      return server.apiSecret;
    },
    get restarts() {
      return server.restarts;
    },
    ready: () => server.ready(),
    reachable: () => server.ready(),
    hint: "Parley restarts its LiveKit server automatically; try again in a moment. The log has details.",
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
