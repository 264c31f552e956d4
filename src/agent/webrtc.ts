import { dispose } from "@livekit/rtc-node";
import type { Logger } from "pino";
// Not exported, and by path: only a plain import is seen by the bundler that makes the executable.
import { log } from "../../node_modules/@livekit/rtc-node/dist/log.cjs";

/** rtc-node has a logger of its own that writes to stdout in its own format. */
export function redirectRtcLog(logger: Logger): void {
  const to = (level: "debug" | "info" | "warn" | "error") => logger[level].bind(logger);
  const methods = { debug: to("debug"), info: to("info"), warn: to("warn"), error: to("error") };
  Object.assign(log, methods);
}

/**
 * Lets go of WebRTC's threads. It is here, since a dynamic `import` of rtc-node has no names once
 * bundled: its ES module re-exports a CommonJS one, whose names are known when it runs.
 */
export function disposeWebRtc(): Promise<void> {
  return dispose();
}
