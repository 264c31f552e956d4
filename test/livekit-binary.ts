import { homedir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { LIVEKIT_VERSION } from "../src/livekit/release.ts";
import { findLiveKitServer } from "../src/livekit/server-binary.ts";

/** The livekit-server for tests; `npm test` has installed it in this cache. */
export function testBinary(): Promise<string> {
  const cache = Bun.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const installDir = join(cache, "parley", `livekit-v${LIVEKIT_VERSION}`);
  return findLiveKitServer({
    bin: Bun.env["LIVEKIT_SERVER_BIN"],
    dataDir: installDir,
    installDir,
    env: Bun.env,
    logger: pino({ level: "silent" }),
  });
}
