import { hostname } from "node:os";
import { readConfig } from "../config.ts";
import { processUsing } from "../db/process-lock.ts";
import { Failure } from "../errors.ts";
import { isRunning } from "../lib/is-running.ts";
import type { Program } from "./serve.ts";
import { DRAIN_SIGNAL } from "./stop-signals.ts";

const USAGE = "usage: parley drain\n";
/** How often it is looked whether the other process has ended, in ms. */
const LOOK_MS = 200;

/**
 * `parley drain`: the Parley that uses this database takes no more conversations and ends when
 * those that run have ended. Waits for that; to stop waiting changes nothing.
 *
 * @returns the exit code: 0, or 2 for wrong arguments
 * @throws Failure when no Parley runs here
 */
export async function drain(
  { resources, defaultDataDir }: Program,
  variables: NodeJS.ProcessEnv,
  args: readonly string[],
): Promise<number> {
  if (args.length > 0) {
    process.stderr.write(USAGE);
    return 2;
  }
  const config = readConfig(variables, defaultDataDir === undefined ? {} : { defaultDataDir });
  await resources.database();
  const running = processUsing(config.databasePath);
  if (running === undefined) {
    throw new Failure("not_found", `no Parley uses ${config.databasePath}: check DATA_DIR`);
  }
  if (running.host !== hostname() || process.platform === "win32") {
    const where = running.url ? ` at ${running.url}` : "";
    const advice = `send POST /drain to Parley${where} on ${running.host} instead`;
    throw new Failure(
      "unavailable",
      `process ${running.pid} cannot be signalled from here: ${advice}`,
    );
  }
  process.kill(running.pid, DRAIN_SIGNAL);
  process.stdout.write(`Parley (process ${running.pid}) ends when its conversations have ended\n`);
  while (isRunning(running.pid)) await Bun.sleep(LOOK_MS);
  process.stdout.write("Parley has ended\n");
  return 0;
}
