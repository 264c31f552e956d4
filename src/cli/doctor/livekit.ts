import { pino } from "pino";
import type { Config } from "../../config.ts";
import { messageOf } from "../../errors.ts";
import { withDeadline } from "../../lib/deadline.ts";
import { isLoopback } from "../../lib/loopback.ts";
import { createRoomService } from "../../livekit/rooms.ts";
import { findLiveKitServer } from "../../livekit/server-binary.ts";
import { startLiveKitServer } from "../../livekit/server-process.ts";
import type { Resources } from "../../resources.ts";
import { type Check, type Finding, failed, ok, warning } from "./check.ts";
import type { LiveKitAccess } from "./web-rtc.ts";

const START_MS = 7000;
const JOIN_MS = 8000;
const silent = pino({ level: "silent" });

/** The two checks of LiveKit. Disposal stops the server that they started. */
export interface LiveKitChecks extends AsyncDisposable {
  /** To be run at the same time: the second waits for the first. */
  checks: Check[];
}

/** Checks that LiveKit accepts the keys, and that audio would get through. */
export function liveKitChecks(
  config: Config,
  resources: Resources,
  environment: Readonly<Record<string, string | undefined>>,
): LiveKitChecks {
  const access = Promise.withResolvers<LiveKitAccess | undefined>();
  const opened = new AsyncDisposableStack();
  const connect = config.livekit
    ? () => askServer(config, access.resolve)
    : () => startServer({ config, resources, environment, opened, onAccess: access.resolve });
  const checks: Check[] = [
    {
      name: "LiveKit",
      deadlineMs: START_MS,
      timeoutHint: config.livekit
        ? "Check LIVEKIT_URL, the network and the firewall."
        : "Try again when the machine is less busy, or set LIVEKIT_SERVER_BIN.",
      run: () => connect().finally(() => access.resolve(undefined)),
    },
    {
      name: "WebRTC",
      deadlineMs: START_MS + JOIN_MS,
      timeoutHint: mediaHint(config),
      run: async () => {
        // The first check may hang, so this one waits no longer than that one's deadline.
        const found = await withDeadline(access.promise, START_MS, "LiveKit").catch(
          () => undefined,
        );
        if (found) return checkMedia(config, found);
        return warning("not tested, because LiveKit does not answer", "Fix LiveKit first.");
      },
    },
  ];
  return { checks, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

/** Lists the rooms of the configured server, which tests the address and the key. */
async function askServer(
  { livekit }: Config,
  onAccess: (access: LiveKitAccess) => void,
): Promise<Finding> {
  if (!livekit) throw new Error("no LiveKit server is configured");
  const { host } = new URL(livekit.url);
  try {
    await createRoomService({ ...livekit, timeoutMs: START_MS - 2000 }).listRooms();
  } catch (error) {
    const detail = messageOf(error);
    return failed(
      detail,
      detail.includes("refused the key")
        ? "Copy LIVEKIT_API_KEY and LIVEKIT_API_SECRET from the server's configuration or LiveKit Cloud."
        : `Is ${host} running? Check LIVEKIT_URL, the network and the firewall.`,
    );
  }
  onAccess(livekit);
  const publicUrl = new URL(livekit.publicUrl);
  if (publicUrl.protocol === "ws:" && !isLoopback(publicUrl.hostname)) {
    return warning(
      `${host} accepts the key, but browsers connect to ${publicUrl.host} without encryption`,
      "Browsers refuse that from HTTPS pages: set LIVEKIT_PUBLIC_URL to a wss:// address.",
    );
  }
  return ok(`${host} accepts the key`);
}

/** Starts livekit-server as `parley serve` would, but does not download it. */
async function startServer(options: {
  config: Config;
  resources: Resources;
  environment: Readonly<Record<string, string | undefined>>;
  opened: AsyncDisposableStack;
  onAccess: (access: LiveKitAccess) => void;
}): Promise<Finding> {
  const { config, resources, environment: env, opened, onAccess } = options;
  const { livekitServerBin: bin, dataDir } = config;
  const { livekitServer: embedded } = resources;
  let found: string | undefined;
  try {
    found = await findLiveKitServer({ bin, embedded, dataDir, env, logger: silent, get: false });
  } catch (error) {
    return failed(
      messageOf(error),
      "Unset LIVEKIT_SERVER_BIN, or set it to a livekit-server that runs on this machine.",
    );
  }
  if (found === undefined) {
    return warning(
      "livekit-server is not on this machine yet",
      "The first start downloads it, which needs internet access; or set LIVEKIT_SERVER_BIN or LIVEKIT_URL.",
    );
  }
  const path = found;
  const server = opened.use(startLiveKitServer({ binary: async () => path, logger: silent }));
  await server.ready();
  onAccess(server);
  if (isLoopback(config.host)) return ok(`${path} starts and answers`);
  return warning(
    `${path} only answers this machine, although HOST=${config.host} lets others in`,
    "For people on other machines, set LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET (docs/DEPLOY.md).",
  );
}

async function checkMedia(config: Config, access: LiveKitAccess): Promise<Finding> {
  try {
    // Imported here, since it loads rtc-node's library, which may be what is broken.
    const { joinTwice } = await import("./web-rtc.ts");
    const { protocol, ms } = await joinTwice(access, JOIN_MS - 1000);
    const detail = `two participants reach each other over ${protocol}, joined in ${ms} ms`;
    return protocol === "UDP" ? ok(detail) : warning(detail, mediaHint(config));
  } catch (error) {
    return failed(`no connection: ${messageOf(error)}`, mediaHint(config));
  }
}

function mediaHint({ livekit }: Config): string {
  return livekit
    ? "Open LiveKit's UDP ports (7882, or 50000 to 60000) and TCP 7881 to this machine, check its node_ip or use_external_ip, or set up TURN."
    : "Allow UDP between programs on 127.0.0.1: a firewall or a sandbox blocks it.";
}
