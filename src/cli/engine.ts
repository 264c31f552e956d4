import { parseArgs } from "node:util";
import { STAGES } from "../domain/stage.ts";
import { serveModels } from "../engine/server.ts";
import { Failure } from "../errors.ts";
import { isLoopback } from "../lib/loopback.ts";
import { NO_ENGINE } from "../models/no-engine.ts";
import { resolveModel } from "../models/resolve-model.ts";
import { createLogger } from "../observability/logger.ts";
import type { Program } from "./serve.ts";

const USAGE = `Usage: parley engine [--host HOST] [--port PORT] [--stt PATH] [--llm PATH] [--tts PATH]

Serves models of this machine by OpenAI's interface: speech recognition, chat and speech. PATH is the
folder of a model, or a .gguf file. The key that requests have to bear is in ENGINE_API_KEY (or
--key); without one, only this machine is answered.
`;

/**
 * `parley engine`: serves models until a signal comes. With `--supervised`, as Parley starts it for
 * itself, also until stdin closes: then the process that started it is gone, in whatever way.
 *
 * @returns the exit code
 * @throws Failure when a path is no model, or the port is taken
 */
export async function engine(
  { resources }: Program,
  variables: NodeJS.ProcessEnv,
  args: readonly string[],
): Promise<number> {
  const options = readArguments(args);
  if (options === undefined) {
    process.stderr.write(USAGE);
    return 2;
  }
  const apiKey = options.key ?? (variables["ENGINE_API_KEY"]?.trim() || undefined);
  if (!isLoopback(options.host) && apiKey === undefined) {
    throw new Failure(
      "invalid",
      `--host ${options.host}: others could use the engine; set ENGINE_API_KEY to a key of theirs`,
    );
  }
  if (resources.engine === undefined) throw new Failure("unavailable", NO_ENGINE);
  await resources.engine();
  const models = STAGES.flatMap((stage) => {
    const path = options[stage];
    return path === undefined ? [] : [resolveModel(stage, path, `--${stage}`)];
  });
  const terminal = process.stdout.isTTY === true && !options.supervised;
  const logger = await createLogger({ logLevel: "info", logFormat: terminal ? "pretty" : "json" });
  const ended = Promise.race([signals(), ...(options.supervised ? [lostParent()] : [])]);
  await using server = serveModels({
    host: options.host,
    port: options.port,
    apiKey,
    models,
    vadModel: async () => (await resources.speech()).vadModel,
    logger,
    supervised: options.supervised,
  });
  logger.info({ event: "listening", url: server.url.href }, "the engine listens");
  await ended;
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
        supervised: { type: "boolean", default: false },
      },
    });
    const port = Number(values.port);
    return /^\d{1,5}$/.test(values.port) && port < 65_536 ? { ...values, port } : undefined;
  } catch {
    return undefined;
  }
}

function signals(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  return promise;
}

/** Nothing is written to stdin: its end is the sign. */
async function lostParent(): Promise<void> {
  for await (const _ of Bun.stdin.stream());
}
