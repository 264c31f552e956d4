import { expect, test } from "bun:test";
import { join } from "node:path";
import pino from "pino";
import { LLM, STT } from "../../test/engine-models.ts";
import type { LocalModel } from "../domain/model.ts";
import { type SupervisedEngine, startEngine } from "./engine-process.ts";

const CHILD = join(import.meta.dir, "../../test/engine-child.ts");
const FATAL: LocalModel = { ...LLM, id: "fatal" };

function start(mode: string, models: LocalModel[] = [STT]): SupervisedEngine {
  return startEngine({
    command: [process.execPath, CHILD, mode],
    variables: { ...Bun.env, OPENAI_API_KEY: "sk-of-somebody" },
    models,
    logger: pino({ level: "silent" }),
  });
}

interface Seen {
  pid: number;
  models: string[];
  environment: Record<string, string>;
  bun: string[];
}

async function seen(engine: SupervisedEngine): Promise<Seen> {
  const response = await fetch(`${engine.baseURL}/models`, { keepalive: false });
  return (await response.json()) as Seen;
}

test("the child starts when it is needed, and knows its models", async () => {
  await using engine = start("well");
  expect(engine.pid).toBeUndefined();
  await Promise.all([engine.ready(), engine.ready()]);
  expect(await seen(engine)).toMatchObject({ pid: engine.pid, models: [STT.id] });
  engine.use([STT, LLM]);
  await engine.ready();
  expect(await seen(engine)).toMatchObject({ models: [STT.id, LLM.id] });
});

test("the child has the engine's key and no other", async () => {
  await using engine = start("well");
  await engine.ready();
  const { environment, bun } = await seen(engine);
  expect(environment["ENGINE_API_KEY"]).toBe(engine.apiKey);
  expect(JSON.stringify(environment)).not.toContain("sk-of-somebody");
  // The `.env` of Parley's folder is not for it either.
  expect(bun).toContain("--no-env-file");
});

test("after a crash another child serves the current models at the same address", async () => {
  await using engine = start("well");
  await engine.ready();
  const { baseURL, apiKey, pid } = engine;
  engine.use([LLM]);
  await engine.ready();
  await fetch(new URL("/crash", baseURL), { keepalive: false }).catch(() => {});
  await engine.ready();
  expect(engine).toMatchObject({ baseURL, apiKey });
  expect(engine.pid).not.toBe(pid);
  expect(await seen(engine)).toMatchObject({ models: [LLM.id] });
});

test("one that cannot start is reported with its last errors, and tried again when it is needed again", async () => {
  await using engine = start("mute");
  for (let i = 0; i < 2; i++) await expect(engine.ready()).rejects.toThrow("no engine in me");
});

test("a model that crashes the engine twice is not loaded again until the models change", async () => {
  await using engine = start("fatal", [FATAL]);
  await expect(engine.ready()).rejects.toThrow("fatal cannot be loaded: std::bad_alloc");
  const { pid } = engine;
  await expect(engine.ready()).rejects.toThrow("not enough memory");
  expect(engine.pid).toBe(pid);
  engine.use([LLM]);
  await engine.ready();
  for (let i = 0; i < 2; i++) {
    const { pid: before } = engine;
    // Said again, it is tried again.
    engine.use([FATAL]);
    await expect(engine.ready()).rejects.toThrow("not enough memory");
    expect(engine.pid).not.toBe(before);
  }
});

test("after disposal the engine has exited, started or not", async () => {
  const engine = start("well");
  await engine.ready();
  await engine[Symbol.asyncDispose]();
  await expect(seen(engine)).rejects.toThrow();
  await expect(engine.ready()).rejects.toThrow("stopped");
  const idle = start("well");
  await idle[Symbol.asyncDispose]();
  await expect(idle.ready()).rejects.toThrow("stopped");
});
