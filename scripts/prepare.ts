import { messageOf } from "../src/errors.ts";
import { buildClient } from "./build-client.ts";
import { provideLiveKitServer } from "./livekit.ts";
import { say } from "./say.ts";

/** Extensions of htmx that the pages use. */
export const HTMX_EXTENSIONS: readonly string[] = [];

/**
 * Makes sure that everything is there that Parley needs to run. Ends the process with a plain
 * message if something cannot be had, or if the person stops it meanwhile.
 */
export async function prepare(options: { dev: boolean }): Promise<void> {
  const cancel = new AbortController();
  const stop = () => cancel.abort();
  process.once("SIGINT", stop).once("SIGTERM", stop);
  try {
    const [server] = await Promise.all([
      process.env["LIVEKIT_URL"] ? undefined : provideLiveKitServer(cancel.signal),
      buildClient({ dev: options.dev, htmxExtensions: HTMX_EXTENSIONS }),
    ]);
    if (server) process.env["LIVEKIT_SERVER_BIN"] = server;
  } catch (error) {
    if (cancel.signal.aborted) process.exit(130);
    say(messageOf(error));
    if (error instanceof AggregateError) for (const each of error.errors) say(String(each));
    process.exit(1);
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
  }
}
