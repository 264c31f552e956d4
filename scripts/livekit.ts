import { join } from "node:path";
import { pino } from "pino";
import { LIVEKIT_VERSION } from "../src/livekit/release.ts";
import { findLiveKitServer } from "../src/livekit/server-binary.ts";
import { ROOT, userCache } from "./paths.ts";
import { say } from "./say.ts";

/**
 * Finds livekit-server or gets it, into a cache that all checkouts on this machine share: where it
 * has to be built that takes minutes, and once is enough.
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
