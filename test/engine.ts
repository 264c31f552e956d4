import { dirname, join } from "node:path";
import pino from "pino";
import { type TestModels, testModels } from "../scripts/test-models.ts";
import type { LocalModel } from "../src/domain/model.ts";
import { type SupervisedEngine, startEngine } from "../src/engine/engine-process.ts";

export const ENGINE_COMMAND = [process.execPath, join(import.meta.dir, "../src/main.ts"), "engine"];

/**
 * An engine in a child process, not started yet; by default with the small real models.
 *
 * @param variables added to the environment, such as `ENGINE_CONTEXT`
 */
export async function realEngine(
  models?: readonly LocalModel[],
  command: readonly string[] = ENGINE_COMMAND,
  variables: Readonly<Record<string, string>> = {},
): Promise<SupervisedEngine> {
  return startEngine({
    command,
    variables: { ...Bun.env, ...variables },
    models: models ?? Object.values(await testModels()),
    logger: pino({ level: "silent" }),
  });
}

/** The variables that make Parley use these models. */
export function modelVariables({ stt, llm, tts }: TestModels): Record<string, string> {
  return { STT_MODEL: dirname(stt.tokens), LLM_MODEL: llm.model, TTS_MODEL: dirname(tts.tokens) };
}
