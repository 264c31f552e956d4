import { pino } from "pino";
import type { Config } from "../../config.ts";
import { messageOf } from "../../errors.ts";
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

/** LiveKit as the checks find it; disposal stops the server that they started. */
export interface LiveKitChecks extends AsyncDisposable {
  /** To be run at the same time: the second waits for the first. */
  checks: Check[];
}

/** Checks that LiveKit answers with these keys, and that audio would get through. */
export function liveKitChecks(
  config: Config,
  resources: Resources,
  environment: Readonly<Record<string, string | undefined>>,
): LiveKitChecks {
  const found = Promise.withResolvers<LiveKitAccess | undefined>();
  const opened = new AsyncDisposableStack();
  const look = config.livekit
    ? () => askServer(config, found.resolve)
    : () => startOwn({ config, resources, environment, opened, found: found.resolve });
  const checks: Check[] = [
    {
      name: "LiveKit",
      deadlineMs: START_MS,
      mendLate: config.livekit
        ? "Check LIVEKIT_URL, the network and the firewall."
        : "Try again when the machine is less busy, or set LIVEKIT_SERVER_BIN.",
      run: () => look().finally(() => found.resolve(undefined)),
    },
    {
      name: "WebRTC",
      deadlineMs: START_MS + JOIN_MS,
      mendLate: mendMedia(config),
      run: async () => {
        // The first check's deadline is this one's too: what hangs there is not waited for.
        const late = Promise.withResolvers<undefined>();
        const timer = setTimeout(() => late.resolve(undefined), START_MS);
        const access = await Promise.race([found.promise, late.promise]);
        clearTimeout(timer);
        return access === undefined ? notTried() : tryMedia(config, access);
      },
    },
  ];
  return { checks, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

async function askServer(
  { livekit }: Config,
  found: (access: LiveKitAccess) => void,
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
        : `Is ${host} up? Check LIVEKIT_URL, the network and the firewall.`,
    );
  }
  found(livekit);
  const open = new URL(livekit.publicUrl);
  if (open.protocol === "ws:" && !isLoopback(open.hostname)) {
    return warning(
      `${host} accepts the key; browsers are sent to ${open.host} without encryption`,
      "Browsers refuse that from HTTPS pages: set LIVEKIT_PUBLIC_URL to a wss:// address.",
    );
  }
  return ok(`${host} accepts the key`);
}

async function startOwn(parts: {
  config: Config;
  resources: Resources;
  environment: Readonly<Record<string, string | undefined>>;
  opened: AsyncDisposableStack;
  found: (access: LiveKitAccess) => void;
}): Promise<Finding> {
  const { config, resources, environment: env, opened, found } = parts;
  const { livekitServerBin: bin, dataDir } = config;
  const { livekitServer: embedded } = resources;
  let binary: string | undefined;
  try {
    binary = await findLiveKitServer({ bin, embedded, dataDir, env, logger: silent, get: false });
  } catch (error) {
    return failed(messageOf(error), "Unset LIVEKIT_SERVER_BIN, or name one that runs here.");
  }
  if (binary === undefined) {
    return warning(
      "livekit-server is not on this machine yet",
      "The first start fetches it, which needs the internet; or set LIVEKIT_SERVER_BIN or LIVEKIT_URL.",
    );
  }
  const path = binary;
  const server = opened.use(startLiveKitServer({ binary: async () => path, logger: silent }));
  await server.ready;
  found(server);
  if (isLoopback(config.host)) return ok(`${path} starts and answers`);
  return warning(
    `${path} answers, but on this machine only, while HOST=${config.host} lets others in`,
    "For people elsewhere, set LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET (docs/DEPLOY.md).",
  );
}

function notTried(): Finding {
  return warning("not tried, as LiveKit does not answer", "Mend LiveKit first.");
}

async function tryMedia(config: Config, access: LiveKitAccess): Promise<Finding> {
  try {
    // Loads rtc-node, whose library may be the very thing that is broken.
    const { joinTwice } = await import("./web-rtc.ts");
    const { protocol, ms } = await joinTwice(access, JOIN_MS - 1000);
    const detail = `two participants reach each other over ${protocol}, joined in ${ms} ms`;
    return protocol === "UDP" ? ok(detail) : warning(detail, mendMedia(config));
  } catch (error) {
    return failed(`no connection: ${messageOf(error)}`, mendMedia(config));
  }
}

function mendMedia({ livekit }: Config): string {
  return livekit
    ? "Open LiveKit's UDP ports (7882, or 50000 to 60000) and TCP 7881 to this machine, check its node_ip or use_external_ip, or set up TURN."
    : "Let programs talk to each other over UDP on 127.0.0.1: a firewall or sandbox forbids it.";
}
