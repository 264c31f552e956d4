import { afterAll, expect, test } from "bun:test";
import { existsSync, utimesSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import pino from "pino";
import { temporaryFolder } from "../../test/database.ts";
import { LLM, STT } from "../../test/engine-models.ts";
import type { LocalModel } from "../domain/model.ts";
import { type EngineOptions, type SupervisedEngine, startEngine } from "./engine-process.ts";

const CHILD = join(import.meta.dir, "../../test/engine-child.ts");
const FATAL: LocalModel = { ...LLM, id: "fatal", model: "f" };
const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());

function start(
  mode: string,
  models: LocalModel[] = [STT],
  change: Partial<EngineOptions> = {},
): SupervisedEngine {
  const engine = startEngine({
    command: [process.execPath, CHILD, mode],
    variables: { ...Bun.env, OPENAI_API_KEY: "sk-of-somebody" },
    folder: join(folder.path, "models"),
    keepAliveMs: 60_000,
    logger: pino({ level: "silent" }),
    ...change,
  });
  engine.use(models);
  return engine;
}

interface Seen {
  pid: number;
  models: string[];
  sent: LocalModel[];
  environment: Record<string, string>;
  bun: string[];
  folder: string;
}

async function seen(engine: SupervisedEngine, stage: "stt" | "llm" = "stt"): Promise<Seen> {
  const { baseURL } = engine.serverOf(stage);
  const response = await fetch(`${baseURL}/models`, { keepalive: false });
  return (await response.json()) as Seen;
}

function crash(engine: SupervisedEngine, stage: "stt" | "llm"): Promise<unknown> {
  const url = new URL("/crash", engine.serverOf(stage).baseURL);
  return fetch(url, { keepalive: false }).catch(() => {});
}

/** Waits until a process has exited; the test's own deadline ends a wait that is too long. */
async function gone(pid: number | undefined): Promise<void> {
  while (existsSync(`/proc/${pid}`)) await Bun.sleep(5);
}

test("a stage's child starts when it is needed, knows its models, and is another than those of others", async () => {
  await using engine = start("well");
  expect(engine.pidOf("stt")).toBeUndefined();
  await Promise.all([engine.ready(["stt"]), engine.ready(["stt"])]);
  expect(await seen(engine)).toMatchObject({ pid: engine.pidOf("stt"), models: [STT.id] });
  engine.use([STT, LLM]);
  expect(engine.pidOf("llm")).toBeUndefined();
  await engine.ready(["stt", "llm"]);
  expect(await seen(engine, "stt")).toMatchObject({ models: [STT.id] });
  expect(await seen(engine, "llm")).toMatchObject({ models: [LLM.id] });
  expect(engine.serverOf("llm").apiKey).not.toBe(engine.serverOf("stt").apiKey);
  const others = engine.pidOf("stt");
  await crash(engine, "llm");
  await engine.ready(["llm"]);
  expect(engine.pidOf("stt")).toBe(others);
  expect(engine.state().map(({ stage, restarts }) => [stage, restarts])).toEqual([
    ["stt", 0],
    ["llm", 1],
  ]);
});

test("the child has the engine's key and no other, and does not start in Parley's folder", async () => {
  await using engine = start("well");
  await engine.ready(["stt"]);
  const { environment, bun, folder: cwd, sent } = await seen(engine);
  expect(environment["ENGINE_API_KEY"]).toBe(engine.serverOf("stt").apiKey);
  expect(JSON.stringify(environment)).not.toContain("sk-of-somebody");
  // Bun reads the `.env` of the folder that it starts in, and executables always do.
  expect(bun).toContain("--no-env-file");
  expect(cwd).toBe(join(folder.path, "models"));
  // Paths are relative to Parley's folder all the same.
  expect(sent).toEqual([
    { ...STT, encoder: resolve("e"), decoder: resolve("d"), tokens: resolve("t") },
  ]);
});

test("an executable's child does not read the .env of Parley's folder", async () => {
  const executable = join(folder.path, "child");
  // As Parley's own executable is built.
  const built = Bun.spawnSync([
    ...[process.execPath, "build", "--compile", "--compile-autoload-dotenv"],
    ...[CHILD, `--outfile=${executable}`],
  ]);
  expect(built.exitCode).toBe(0);
  const before = process.cwd();
  writeFileSync(join(folder.path, ".env"), "OPENAI_API_KEY=sk-of-the-file\n");
  process.chdir(folder.path);
  try {
    await using engine = start("well", [STT], { command: [executable, "well"], folder: "models" });
    await engine.ready(["stt"]);
    expect((await seen(engine)).environment).not.toHaveProperty("OPENAI_API_KEY");
  } finally {
    process.chdir(before);
  }
});

test("after a crash another child serves the current models at the same address", async () => {
  await using engine = start("well", [{ ...STT, id: "other" }]);
  await engine.ready(["stt"]);
  const server = engine.serverOf("stt");
  const pid = engine.pidOf("stt");
  engine.use([STT]);
  await engine.ready(["stt"]);
  await crash(engine, "stt");
  await engine.ready(["stt"]);
  expect(engine.serverOf("stt")).toEqual(server);
  expect(engine.pidOf("stt")).not.toBe(pid);
  expect(await seen(engine)).toMatchObject({ models: [STT.id] });
});

test("one that cannot start is reported with its last errors, and tried again when it is needed again", async () => {
  await using engine = start("mute");
  for (let i = 0; i < 2; i++) {
    await expect(engine.ready(["stt"])).rejects.toThrow("no engine in me");
  }
});

test("a model that crashes the engine twice is not loaded again until its file changes, whatever else is used", async () => {
  const path = join(folder.path, "fatal.gguf");
  writeFileSync(path, "GGUF");
  const fatal: LocalModel = { ...FATAL, kind: "gguf", model: path };
  await using engine = start("fatal", [fatal]);
  await expect(engine.ready(["llm"])).rejects.toThrow("fatal cannot be loaded: std::bad_alloc");
  const pid = engine.pidOf("llm");
  const isRefused = async () => {
    await expect(engine.ready(["llm"])).rejects.toThrow(
      /not enough memory.* It is tried again when its files have changed/,
    );
    expect(engine.pidOf("llm")).toBe(pid);
  };
  await isRefused();
  engine.use([LLM]);
  await engine.ready(["llm"]);
  engine.use([fatal]);
  await isRefused();
  engine.use([LLM, fatal]);
  await isRefused();
  utimesSync(path, 1, 1);
  await expect(engine.ready(["llm"])).rejects.toThrow("not enough memory");
  expect(engine.pidOf("llm")).not.toBe(pid);
});

test("a load that does not end is given up, and is not said to lack memory", async () => {
  await using engine = start("endless", [FATAL], { loadTimeoutMs: 200 });
  const error: unknown = await engine.ready(["llm"]).catch((thrown: unknown) => thrown);
  expect(String(error)).toContain("it was not loaded within");
  expect(String(error)).not.toContain("memory");
  // The others' models are served again.
  const pid = engine.pidOf("llm");
  await expect(engine.ready(["llm"])).rejects.toThrow("it was not loaded within");
  expect(engine.pidOf("llm")).toBe(pid);
});

test("a stage's child ends after a while in which nobody used its models, and starts again", async () => {
  await using engine = start("well", [STT, LLM], { keepAliveMs: 50 });
  await engine.ready(["stt", "llm"]);
  const pid = engine.pidOf("stt");
  const kept = engine.pidOf("llm");
  engine.use([LLM]);
  await gone(pid);
  expect(engine.pidOf("stt")).toBeUndefined();
  expect(engine.pidOf("llm")).toBe(kept);
  engine.use([STT, LLM]);
  await engine.ready(["stt"]);
  expect(await seen(engine)).toMatchObject({ models: [STT.id] });
});

test("a model that cannot be loaded goes with its conversation, and is not in the way of others", async () => {
  await using engine = start("fatal", [LLM]);
  await engine.ready(["llm"]);
  engine.use([LLM, FATAL]);
  await expect(engine.ready(["llm"])).rejects.toThrow("fatal cannot be loaded");
  engine.use([LLM]);
  await engine.ready(["llm"]);
  expect(await seen(engine, "llm")).toMatchObject({ models: [LLM.id] });
});

test("models that are used again in time stay", async () => {
  await using engine = start("well", [STT, LLM], { keepAliveMs: 300 });
  await engine.ready(["stt", "llm"]);
  const pid = engine.pidOf("stt");
  const unused = engine.pidOf("llm");
  engine.use([]);
  engine.use([STT]);
  // Both were unused at the same time, so this one would end with the other.
  await gone(unused);
  expect(engine.pidOf("stt")).toBe(pid);
});

test("each model stays for its own time, whichever was used longer", async () => {
  const other = { ...LLM, id: "other" };
  await using engine = start("well", [LLM, other], { keepAliveMs: 1000 });
  await engine.ready(["llm"]);
  const pid = engine.pidOf("llm");
  engine.use([other]);
  // In the middle of the first model's time, so that the times of both overlap.
  await Bun.sleep(700);
  const unusedAt = performance.now();
  engine.use([]);
  await gone(pid);
  expect(performance.now() - unusedAt).toBeGreaterThanOrEqual(1000);
});

test("after disposal the engine has exited, started or not", async () => {
  const engine = start("well");
  await engine.ready(["stt"]);
  const pid = engine.pidOf("stt");
  await engine[Symbol.asyncDispose]();
  expect(existsSync(`/proc/${pid}`)).toBe(false);
  await expect(engine.ready(["stt"])).rejects.toThrow("stopped");
  const idle = start("well");
  await idle[Symbol.asyncDispose]();
  await expect(idle.ready(["stt"])).rejects.toThrow("stopped");
});
