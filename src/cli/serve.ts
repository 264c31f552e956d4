import type { Logger } from "pino";
import { startApp } from "../app.ts";
import { readConfig } from "../config.ts";
import { startEngine } from "../engine/engine-process.ts";
import { DeadlineExceeded, withDeadline } from "../lib/deadline.ts";
import { LogOutput } from "../observability/log-output.ts";
import { createLogger } from "../observability/logger.ts";
import type { CreateEngine } from "../providers/provider-choice.ts";
import type { Resources } from "../resources.ts";

/** The program that a command belongs to: what differs between a source tree and an executable. */
export interface Program {
  /** The command line that starts this program again, without arguments. */
  command: readonly string[];
  resources: Resources;
  /** The data directory if `DATA_DIR` is not set; undefined: `./data`. */
  defaultDataDir?: string | undefined;
  /** Reads the text of `parley licenses`. */
  licenses?: (() => Promise<string>) | undefined;
  /** Starts the engine for local models; undefined: this program, if it has an engine. */
  createEngine?: CreateEngine | undefined;
}

/** How long a graceful stop may take before the process ends anyway, in ms. */
const STOP_MS = 9500;
/**
 * Signals this close together count as one. A terminal or a supervisor signals the whole process
 * group, and npm and the scripts around Parley forward the signal as well.
 */
const SAME_SIGNAL_MS = 400;

/**
 * `parley serve`: runs until SIGTERM or Ctrl-C, then ends every session and stops. A second signal
 * kills the process at once.
 *
 * @returns the exit code
 * @throws Failure when Parley cannot start
 */
export async function serve(
  program: Program,
  variables: NodeJS.ProcessEnv,
  args: string[],
): Promise<number> {
  const { resources, defaultDataDir } = program;
  const config = readConfig(variables, {
    dev: args.includes("--dev"),
    terminal: process.stdout.isTTY === true,
    ...(defaultDataDir === undefined ? {} : { defaultDataDir }),
  });
  await using output = new LogOutput(1);
  const logger = await createLogger(config, output);
  output.onDropped = (lines) =>
    logger.warn({ lines }, "lines of the log were dropped, since nobody read it");
  const uncaughtErrors = surviveUncaughtErrors(logger);
  // Installed before anything starts, so that a signal during the start stops gracefully too.
  const stopped = stopSignal();
  const createEngine = program.createEngine ?? ownEngine(program, variables, logger);
  const environment = variables;
  const app = await startApp({
    ...{ config, logger, resources, environment, createEngine, uncaughtErrors },
  });
  const signal = await stopped;
  logger.info({ signal }, "stopping");
  try {
    await withDeadline(Promise.resolve(app[Symbol.asyncDispose]()), STOP_MS, "stopping");
  } catch (error) {
    if (!(error instanceof DeadlineExceeded)) throw error;
    logger.warn("some parts did not stop in time");
  }
  logger.info("stopped");
  return 0;
}

/** Starts this program again as its engine; undefined if it has none. */
function ownEngine(
  { command, resources }: Program,
  variables: NodeJS.ProcessEnv,
  logger: Logger,
): Program["createEngine"] {
  if (resources.engine === undefined) return undefined;
  return (models) => startEngine({ command: [...command, "engine"], variables, models, logger });
}

/**
 * Resolves with the first SIGINT or SIGTERM. The next one kills the process, even if it hangs;
 * livekit-server notices that and exits too.
 */
function stopSignal(): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let stoppingSince: number | undefined;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      const now = performance.now();
      stoppingSince ??= now;
      if (now - stoppingSince > SAME_SIGNAL_MS) process.kill(process.pid, "SIGKILL");
      resolve(signal);
    });
  }
  return promise;
}

/**
 * Logs uncaught errors and keeps running: a defect in one conversation must not end the others.
 * @returns a function that tells how many there were
 */
function surviveUncaughtErrors(logger: Logger): () => number {
  let count = 0;
  process.on("uncaughtException", (error) => {
    count++;
    logger.error({ err: error }, "uncaught exception");
  });
  process.on("unhandledRejection", (error) => {
    count++;
    logger.error({ err: error }, "unhandled promise rejection");
  });
  return () => count;
}
