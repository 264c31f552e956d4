import type { Logger } from "pino";
import { startApp } from "../app.ts";
import { readConfig } from "../config.ts";
import { startEngine } from "../engine/engine-process.ts";
import { createLogger } from "../observability/logger.ts";
import type { CreateEngine } from "../providers/provider-choice.ts";
import type { Resources } from "../resources.ts";

/** What a command is given of the program it belongs to. */
export interface Program {
  /** How this program is started once more, before its arguments. */
  command: readonly string[];
  resources: Resources;
  /** Where data goes unless `DATA_DIR` says otherwise; undefined: `./data`. */
  defaultDataDir?: string | undefined;
  /** The text of `parley licenses`. */
  licenses?: (() => Promise<string>) | undefined;
  /** What serves models on this machine; undefined: the program itself, where it can. */
  createEngine?: CreateEngine | undefined;
}

/** How long a graceful stop may take before the process ends anyway, in ms. */
const STOP_MS = 9000;
/**
 * Signals that come this close together, in ms, are one order: a terminal or a supervisor signals
 * the whole process group, and npm and the scripts around Parley pass on what they got.
 */
const ONE_ORDER_MS = 400;

/**
 * `parley serve`: runs until SIGTERM or Ctrl-C, then ends every session and stops. A second signal
 * ends the process at once.
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
  const logger = await createLogger(config);
  outliveSurprises(logger);
  // Before anything starts: a signal that comes meanwhile stops it as properly as a later one.
  const stopped = stopSignal();
  const createEngine = program.createEngine ?? engineOf(program, variables, logger);
  const app = await startApp({ config, logger, resources, environment: variables, createEngine });
  const signal = await stopped;
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

/** How this program's engine is started, if it has one. */
function engineOf(
  { command, resources }: Program,
  variables: NodeJS.ProcessEnv,
  logger: Logger,
): Program["createEngine"] {
  if (resources.engine === undefined) return undefined;
  return (models) => startEngine({ command: [...command, "engine"], variables, models, logger });
}

/**
 * Resolves with the first signal to stop. After it, the next one kills the process, whatever the
 * process is busy with; livekit-server notices that and goes too.
 */
function stopSignal(): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let stoppingSince: number | undefined;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      const now = performance.now();
      stoppingSince ??= now;
      if (now - stoppingSince > ONE_ORDER_MS) process.kill(process.pid, "SIGKILL");
      resolve(signal);
    });
  }
  return promise;
}

/** A defect in one conversation must not end the others: it is logged and Parley goes on. */
function outliveSurprises(logger: Logger): void {
  process.on("uncaughtException", (error) => {
    logger.error({ err: error }, "an exception was thrown and nobody caught it");
  });
  process.on("unhandledRejection", (error) => {
    logger.error({ err: error }, "a promise was rejected and nobody handled it");
  });
}
