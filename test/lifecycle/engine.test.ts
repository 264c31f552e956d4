import { afterAll, beforeAll, expect, test } from "bun:test";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import OpenAI from "openai";
import { testModels } from "../../scripts/test-models.ts";
import type { Engine, LocalModel } from "../../src/domain/model.ts";
import type { Stage } from "../../src/domain/stage.ts";
import { Failure } from "../../src/errors.ts";
import { eventually } from "../e2e/wait.ts";
import { ENGINE_COMMAND, realEngine } from "../engine.ts";

// What becomes of the engine, and of those who use it, when something goes wrong.

const models = await testModels();
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "parley-engine-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function ask(engine: Engine, maxTokens: number) {
  const openai = new OpenAI({ ...engine.serverOf("llm"), maxRetries: 0 });
  return openai.chat.completions.create({
    model: models.llm.id,
    messages: [{ role: "user", content: "Tell me a long story." }],
    max_tokens: maxTokens,
    temperature: 1,
    stream: true,
  });
}

async function tokensOf(stream: Awaited<ReturnType<typeof ask>>): Promise<number> {
  let tokens = 0;
  for await (const chunk of stream) if (chunk.choices[0]?.delta.content) tokens += 1;
  return tokens;
}

/** What `ready` says is wrong. */
async function complaint(engine: Engine, stage: Stage): Promise<string> {
  const error = await engine.ready([stage]).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(Failure);
  return (error as Failure).message;
}

/** A copy of a model's file in the test's own folder, with as many bytes as are left of it. */
function cutShort(path: string, bytes: number): string {
  const copy = join(folder, `${bytes}-${basename(path)}`);
  copyFileSync(path, copy);
  truncateSync(copy, bytes);
  return copy;
}

function isGone(pid: number): Promise<unknown> {
  const gone = async () =>
    !existsSync(`/proc/${pid}`) || readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  return eventually(`process ${pid} is gone`, gone, Boolean);
}

test("killed in the middle of an answer, it fails this one and gives the next, at the same address", async () => {
  await using engine = await realEngine([models.llm]);
  await engine.ready(["llm"]);
  const { baseURL } = engine.serverOf("llm");
  const pid = engine.pidOf("llm");
  const stream = await ask(engine, 2000);
  const tokens = tokensOf(stream);
  tokens.catch(() => {});
  await eventually("the child runs", async () => engine.pidOf("llm"), Boolean);
  process.kill(Number(pid), "SIGKILL");
  expect(await tokens.catch((error: unknown) => error)).toBeInstanceOf(Error);
  await engine.ready(["llm"]);
  expect(engine.serverOf("llm").baseURL).toBe(baseURL);
  expect(engine.pidOf("llm")).not.toBe(pid);
  expect(await tokensOf(await ask(engine, 5))).toBeGreaterThan(0);
});

test("a file that is cut short is named, and the engine runs on", async () => {
  const cases: [LocalModel, string][] = [
    [{ ...models.stt, kind: "moonshine", ...moonshineCut(20_000_000) }, "decoder_model_merged.ort"],
    [{ ...models.tts, model: cutShort(models.tts.model, 40_000_000) }, "en_US-joe-medium.onnx"],
    // The weights and nothing behind them: a voice of Piper's as it comes, without properties.
    [{ ...models.tts, model: cutShort(models.tts.model, 63_201_294) }, "en_US-joe-medium.onnx"],
    [{ ...models.llm, model: cutShort(models.llm.model, 50_000_000) }, "SmolLM2-135M"],
    [{ ...models.llm, model: join(folder, "nothing.gguf") }, "nothing.gguf"],
  ];
  await using engine = await realEngine([]);
  await engine.ready(["llm"]);
  const pid = engine.pidOf("llm");
  for (const [model, file] of cases) {
    engine.use([model]);
    expect(await complaint(engine, model.stage)).toContain(file);
  }
  engine.use([models.llm]);
  await engine.ready(["llm"]);
  expect(await tokensOf(await ask(engine, 5))).toBeGreaterThan(0);
  expect(engine.pidOf("llm")).toBe(pid);
});

function moonshineCut(bytes: number) {
  if (models.stt.kind !== "moonshine") throw new Error("another test model");
  const { encoder, mergedDecoder, tokens } = models.stt;
  return { encoder, tokens, mergedDecoder: cutShort(mergedDecoder, bytes) };
}

/** In KiB: more than the engine has of its own, and less than it has with the test's model. */
const LITTLE_MEMORY = 600_000;

test("without enough memory for a model it says so, and serves another", async () => {
  const limited = ["/bin/sh", "-c", `ulimit -d ${LITTLE_MEMORY}; exec "$0" "$@"`];
  await using engine = await realEngine([models.llm, models.stt], {
    command: [...limited, ...ENGINE_COMMAND],
  });
  expect(await complaint(engine, "llm")).toContain("not enough memory");
  // It stays said, without another attempt that would end the engine again.
  const pid = engine.pidOf("llm");
  expect(await complaint(engine, "llm")).toContain("not enough memory");
  expect(engine.pidOf("llm")).toBe(pid);
  await engine.ready(["stt"]);
});

test("it goes with the program that started it, even one that is killed", async () => {
  const script = join(import.meta.dir, "engine-parent.ts");
  const parent = Bun.spawn([process.execPath, script], { stdout: "pipe", stderr: "inherit" });
  const reader = parent.stdout.getReader();
  const { value } = await reader.read();
  const pid = Number(new TextDecoder().decode(value));
  expect(existsSync(`/proc/${pid}`)).toBe(true);
  parent.kill("SIGKILL");
  await parent.exited;
  await isGone(pid);
});

test("disposed in the middle of an answer, it is gone", async () => {
  const engine = await realEngine([models.llm]);
  await engine.ready(["llm"]);
  const pid = Number(engine.pidOf("llm"));
  const tokens = tokensOf(await ask(engine, 2000)).catch((error: unknown) => error);
  await engine[Symbol.asyncDispose]();
  expect(existsSync(`/proc/${pid}`)).toBe(false);
  await tokens;
});
