import { join } from "node:path";
import type { Logger } from "pino";
import { type App, startApp } from "../app.ts";
import { type Config, readConfig } from "../config.ts";
import { startEngine } from "../engine/engine-process.ts";
import { GpuStatus } from "../gpu/gpu-support.ts";
import { DeadlineExceeded, withDeadline } from "../lib/deadline.ts";
import { LogOutput } from "../observability/log-output.ts";
import { createLogger } from "../observability/logger.ts";
import type { CreateEngine } from "../providers/provider-choice.ts";
import type { Resources } from "../resources.ts";
import type { ReleaseVariant } from "../update/release-list.ts";
import { gpuOptions } from "./gpu.ts";
import { DRAIN_SIGNAL, StopSignals } from "./stop-signals.ts";

/** The program that a command belongs to: what differs between a source tree and an executable. */
export interface Program {
  /** The command line that starts this program again, without arguments. */
  command: readonly string[];
  resources: Resources;
  /** The data directory if `DATA_DIR` is not set; undefined: `./data`. */
  defaultDataDir?: string | undefined;
  /** Reads the text of `parley licenses`. */
  licenses?: (() => Promise<string>) | undefined;
  /** The file that `parley update` replaces, and which one it is; undefined: not an executable. */
  executable?: { path: string; platform: string; variant: ReleaseVariant } | undefined;
  /** Starts the engine for local models; undefined: this program, if it has an engine. */
  createEngine?: CreateEngine | undefined;
}

/** How long a graceful stop may take before the process ends anyway, in ms. */
const STOP_MS = 9500;

/**
 * `parley serve`: runs until it is asked to end. After SIGTERM, `parley drain` or `POST /drain` the
 * conversations that run may end first; after Ctrl-C they are ended. See `StopSignals`.
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
  const signals = listenForSignals();
  const createEngine = program.createEngine ?? ownEngine(program, variables, config, logger);
  await using gpu = wishedGpu(program, variables, config);
  const gpuNotice = () => gpu?.text;
  const options = { config, logger, resources, createEngine, gpuNotice, uncaughtErrors };
  const app = await startApp({ ...options, environment: variables });
  const mayDrain = await Promise.race([
    signals.quick.then(() => false),
    signals.drain.then(() => true),
    app.conversations.drainBegun.then(() => true),
  ]);
  if (mayDrain) await Promise.race([drained(app, config, logger), signals.quick]);
  signals.stopping(performance.now());
  logger.info("stopping");
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
  { dataDir, engine: { keepAliveMs } }: Config,
  logger: Logger,
): Program["createEngine"] {
  if (resources.engine === undefined) return undefined;
  return () =>
    startEngine({
      command: [...command, "engine"],
      variables,
      folder: join(dataDir, "models"),
      keepAliveMs,
      logger,
    });
}

/** Fetches and probes the library for the GPU in the background; null: none is wished or needed. */
function wishedGpu(
  program: Program,
  variables: NodeJS.ProcessEnv,
  { engine }: Config,
): GpuStatus | null {
  if (program.resources.engine === undefined || engine.gpu === "off") return null;
  return new GpuStatus(gpuOptions(program, variables, engine));
}

/** Lets the conversations that run end, for a limited time; resolves in any case. */
async function drained({ conversations }: App, { drainMs }: Config, logger: Logger): Promise<void> {
  const ended = conversations.drain();
  if (conversations.liveCount === 0) return;
  const context = { conversations: conversations.liveCount, minutes: drainMs / 60_000 };
  logger.info(context, "no more conversations are taken, and those that run may end");
  try {
    await withDeadline(ended, drainMs, "draining");
  } catch {
    logger.warn({ conversations: conversations.liveCount }, "conversations did not end in time");
  }
}

/** A signal that kills ends livekit-server too, which notices that Parley is gone. */
function listenForSignals(): StopSignals {
  const signals = new StopSignals(() => process.kill(process.pid, "SIGKILL"));
  for (const signal of ["SIGINT", "SIGTERM", DRAIN_SIGNAL] as const) {
    process.on(signal, () => signals.receive(signal, performance.now()));
  }
  return signals;
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
