import { startApp } from "../app.ts";
import { readConfig } from "../config.ts";
import { createLogger } from "../observability/logger.ts";

/** How long a graceful stop may take before the process ends anyway, in ms. */
const STOP_MS = 9000;

/**
 * `parley serve`: runs until SIGTERM or Ctrl-C, then ends every session and stops. A second signal
 * ends the process at once.
 *
 * @returns the exit code
 * @throws Failure when Parley cannot start
 */
export async function serve(variables: NodeJS.ProcessEnv, args: string[]): Promise<number> {
  const config = readConfig(variables, {
    dev: args.includes("--dev"),
    terminal: process.stdout.isTTY === true,
  });
  const logger = createLogger(config);
  process.on("unhandledRejection", (error) => {
    logger.error({ err: error }, "a promise was rejected and nobody handled it");
  });
  const stopped = Promise.withResolvers<string>();
  const app = await startApp(config, logger, variables);
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      process.once("SIGINT", () => process.kill(process.pid, "SIGKILL"));
      process.once("SIGTERM", () => process.kill(process.pid, "SIGKILL"));
      stopped.resolve(signal);
    });
  }
  const signal = await stopped.promise;
  logger.info({ signal }, "stopping");
  const closed = app[Symbol.asyncDispose]().then(() => "closed");
  const late = Promise.withResolvers<string>();
  const timer = setTimeout(() => late.resolve("late"), STOP_MS);
  const outcome = await Promise.race([closed, late.promise]);
  clearTimeout(timer);
  if (outcome === "late") logger.warn("some parts did not stop in time");
  logger.info("stopped");
  return 0;
}
