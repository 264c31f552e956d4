import { join } from "node:path";
import { pino } from "pino";
import { LIVEKIT_VERSION } from "../src/livekit/release.ts";
import { findLiveKitServer } from "../src/livekit/server-binary.ts";
import { buildClient } from "./build-client.ts";
import { ROOT, userCache } from "./paths.ts";
import { say, sayError } from "./say.ts";

/** The htmx extensions that the pages use. */
export const HTMX_EXTENSIONS: readonly string[] = ["hx-sse"];

export interface PrepareOptions {
  dev: boolean;
  /** Whether Parley needs its own LiveKit server, whose path is then put in `LIVEKIT_SERVER_BIN`. */
  liveKit: boolean;
}

/**
 * Provides everything that Parley needs to run: the browser's script and, if asked for, livekit-server.
 *
 * @throws Failure or Error if something is unavailable
 */
export async function provide(options: PrepareOptions, signal?: AbortSignal): Promise<void> {
  const [server] = await Promise.all([
    options.liveKit ? provideLiveKitServer(signal) : undefined,
    buildClient({ dev: options.dev, htmxExtensions: HTMX_EXTENSIONS }),
  ]);
  if (server) process.env["LIVEKIT_SERVER_BIN"] = server;
}

/**
 * Finds livekit-server, or gets it into a cache that all checkouts on this machine share, since
 * building it takes minutes.
 *
 * @returns its path
 * @throws Failure if it is unavailable
 */
export async function provideLiveKitServer(signal?: AbortSignal): Promise<string> {
  const shared = join(userCache(), `livekit-v${LIVEKIT_VERSION}`);
  return findLiveKitServer({
    bin: process.env["LIVEKIT_SERVER_BIN"],
    dataDir: process.env["DATA_DIR"] ?? join(ROOT, "data"),
    cacheDirs: [join(ROOT, ".cache", "livekit"), shared],
    installDir: shared,
    env: process.env,
    logger: pino({ level: "silent" }),
    onProgress: say,
    signal,
  });
}

/**
 * Provides what Parley needs before it runs in this process. Ends the process, with a message, if
 * something is unavailable or the person stops it meanwhile.
 */
export async function prepare(options: { dev: boolean }): Promise<void> {
  const cancel = new AbortController();
  const stop = () => cancel.abort();
  process.once("SIGINT", stop).once("SIGTERM", stop);
  try {
    await provide({ ...options, liveKit: !process.env["LIVEKIT_URL"] }, cancel.signal);
  } catch (error) {
    if (cancel.signal.aborted) process.exit(130);
    sayError(error);
    process.exit(1);
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
  }
}
