import { parseArgs } from "node:util";
import { readEngineSettings } from "../config.ts";
import { STAGES } from "../domain/stage.ts";
import { serveModels } from "../engine/server.ts";
import { Failure } from "../errors.ts";
import { decideGpu } from "../gpu/gpu-support.ts";
import { isLoopback } from "../lib/loopback.ts";
import { NO_ENGINE } from "../models/no-engine.ts";
import { resolveModel } from "../models/resolve-model.ts";
import { createLogger } from "../observability/logger.ts";
import { gpuOptions, reportGpu } from "./gpu.ts";
import type { Program } from "./serve.ts";

const USAGE = `Usage: parley engine [--host HOST] [--port PORT] [--stt PATH] [--llm PATH] [--tts PATH]

Serves local models over OpenAI's API: speech recognition, chat and speech. PATH is the folder of a
model, or a .gguf file. Requests must carry the key in ENGINE_API_KEY (or --key); without a key, the
engine only answers this machine. ENGINE_CONTEXT, ENGINE_THREADS, ENGINE_PARALLEL,
ENGINE_KEEP_ALIVE_MINUTES, ENGINE_GPU and ENGINE_DENOISE are as in docs/CONFIGURATION.md.
`;

/**
 * `parley engine`: serves models until SIGINT or SIGTERM. With `--supervised STAGE`, which Parley
 * uses for the models of a stage, it also stops when stdin closes: its parent process is gone.
 *
 * @returns the exit code
 * @throws Failure when a path is not a model, or the port is taken
 */
export async function engine(
  program: Program,
  variables: NodeJS.ProcessEnv,
  args: readonly string[],
): Promise<number> {
  const { resources } = program;
  const options = readArguments(args);
  if (options === undefined) {
    process.stderr.write(USAGE);
    return 2;
  }
  const apiKey = options.key ?? (variables["ENGINE_API_KEY"]?.trim() || undefined);
  if (!isLoopback(options.host) && apiKey === undefined) {
    throw new Failure(
      "invalid",
      `--host ${options.host}: other machines could use the engine without a key; set ENGINE_API_KEY`,
    );
  }
  if (resources.engine === undefined) throw new Failure("unavailable", NO_ENGINE);
  await resources.engine();
  if (options["probe-gpu"] !== undefined) {
    return reportGpu(program, variables, options["probe-gpu"]);
  }
  const models = STAGES.flatMap((stage) => {
    const path = options[stage];
    return path === undefined ? [] : [resolveModel(stage, path, `--${stage}`)];
  });
  const supervised = options.supervised !== undefined;
  const terminal = process.stdout.isTTY === true && !supervised;
  const logger = await createLogger({ logLevel: "info", logFormat: terminal ? "pretty" : "json" });
  const stopped = Promise.race([stopSignal(), ...(supervised ? [parentExit()] : [])]);
  const settings = readEngineSettings(variables);
  const gpu = async () => {
    const { use, folder, text, isFallback } = await decideGpu(
      gpuOptions(program, variables, settings),
    );
    if (folder !== undefined) resources.useLlama?.(folder);
    if (text !== undefined) logger[isFallback ? "warn" : "info"]({ gpu: use }, text);
    return use;
  };
  await using server = serveModels({
    host: options.host,
    port: options.port,
    apiKey,
    models,
    settings,
    gpu,
    vadModel: async () => (await resources.speech()).vadModel,
    logger,
    supervised,
  });
  logger.info({ event: "listening", url: server.url.href }, "the engine is listening");
  await stopped;
  return 0;
}

function readArguments(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        host: { type: "string", default: "127.0.0.1" },
        port: { type: "string", default: "8010" },
        stt: { type: "string" },
        llm: { type: "string" },
        tts: { type: "string" },
        key: { type: "string" },
        "probe-gpu": { type: "string" },
        supervised: { type: "string" },
      },
    });
    const port = Number(values.port);
    return /^\d{1,5}$/.test(values.port) && port < 65_536 ? { ...values, port } : undefined;
  } catch {
    return undefined;
  }
}

function stopSignal(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  return promise;
}

/** Resolves when stdin closes. The parent never writes to it, so its end means the parent's. */
async function parentExit(): Promise<void> {
  for await (const _ of Bun.stdin.stream());
}
