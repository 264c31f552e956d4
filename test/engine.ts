import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import pino from "pino";
import { type TestModels, testModels } from "../scripts/test-models.ts";
import { type LocalModel, type ModelServer, pathsOf } from "../src/domain/model.ts";
import {
  type EngineOptions,
  type SupervisedEngine,
  startEngine,
} from "../src/engine/engine-process.ts";
import { linesOf } from "../src/lib/child-output.ts";

export const ENGINE_COMMAND = [process.execPath, join(import.meta.dir, "../src/main.ts"), "engine"];

/** An engine in child processes, not started yet; by default with the small real models. */
export async function realEngine(
  models?: readonly LocalModel[],
  change: Partial<EngineOptions> = {},
): Promise<SupervisedEngine> {
  const engine = startEngine({
    command: ENGINE_COMMAND,
    variables: Bun.env,
    folder: join(tmpdir(), "parley-test-models"),
    keepAliveMs: 300_000,
    logger: pino({ level: "silent" }),
    ...change,
  });
  engine.use(models ?? Object.values(await testModels()));
  return engine;
}

/** `parley engine` in a process of its own: all stages at one address. */
export interface EngineProgram extends ModelServer, AsyncDisposable {
  pid: number;
}

/** Starts `parley engine`; by default with the small real models. */
export async function engineProgram(
  models?: readonly LocalModel[],
  env: Record<string, string> = {},
): Promise<EngineProgram> {
  // The program names models by their files, the tests by their ids.
  const folder = mkdtempSync(join(tmpdir(), "parley-engine-"));
  const paths = (models ?? Object.values(await testModels())).flatMap((model) => {
    const path = join(folder, model.stage === "llm" ? `${model.id}.gguf` : model.id);
    symlinkSync(model.stage === "llm" ? model.model : dirname(String(pathsOf(model)[0])), path);
    return [`--${model.stage}`, path];
  });
  const apiKey = "key-of-the-engine";
  const child = Bun.spawn([...ENGINE_COMMAND, "--port", "0", ...paths], {
    stdout: "pipe",
    stderr: "inherit",
    env: { ...Bun.env, ENGINE_API_KEY: apiKey, ...env },
  });
  const url = Promise.withResolvers<string>();
  const followed = (async () => {
    for await (const line of linesOf(child.stdout)) {
      const { event, url: address } = JSON.parse(line);
      if (event === "listening") url.resolve(String(address));
    }
    url.reject(new Error("the engine ended before it listened"));
  })();
  return {
    baseURL: new URL("/v1", await url.promise).href,
    apiKey,
    pid: child.pid,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await child.exited;
      await followed;
      rmSync(folder, { recursive: true });
    },
  };
}

/** The variables that make Parley use these models. */
export function modelVariables({ stt, llm, tts }: TestModels): Record<string, string> {
  return { STT_MODEL: dirname(stt.tokens), LLM_MODEL: llm.model, TTS_MODEL: dirname(tts.tokens) };
}
