import { messageOf } from "../src/errors.ts";
import { buildClient } from "./build-client.ts";
import { provideLiveKitServer } from "./livekit.ts";
import { say } from "./say.ts";

/** Extensions of htmx that the pages use. */
export const HTMX_EXTENSIONS: readonly string[] = ["hx-sse"];

export interface PrepareOptions {
  dev: boolean;
  /** Whether an embedded LiveKit server is needed; it is then named by `LIVEKIT_SERVER_BIN`. */
  liveKit: boolean;
}

/** Makes sure that everything is there that Parley needs to run. @throws what cannot be had */
export async function provide(options: PrepareOptions, signal?: AbortSignal): Promise<void> {
  const [server] = await Promise.all([
    options.liveKit ? provideLiveKitServer(signal) : undefined,
    buildClient({ dev: options.dev, htmxExtensions: HTMX_EXTENSIONS }),
  ]);
  if (server) process.env["LIVEKIT_SERVER_BIN"] = server;
}

/**
 * Provides what Parley needs before it runs in this process; ends the process with a plain message
 * if something cannot be had, or if the person stops it meanwhile.
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

/** Says what went wrong; for a build, every error in the code. */
export function sayError(error: unknown): void {
  say(messageOf(error));
  if (error instanceof AggregateError) for (const each of error.errors) say(String(each));
}
