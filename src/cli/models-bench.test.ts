import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { outcomeOf, startCommand } from "../../test/command.ts";
import { temporaryFolder } from "../../test/database.ts";
import { type RealCatalog, realCatalog } from "../../test/real-catalog.ts";
import { BUILTIN_CATALOG } from "../models/builtin-catalog.ts";
import { readMeasurements } from "../models/measurements.ts";

const temporary = temporaryFolder();
const models = join(temporary.path, "data", "models");
let catalog: RealCatalog;

beforeAll(async () => {
  catalog = await realCatalog();
});
afterAll(async () => {
  await catalog[Symbol.asyncDispose]();
  temporary[Symbol.dispose]();
});

function run(source: string | undefined, ...args: string[]) {
  const variables: Record<string, string> = source ? { MODELS_CATALOG: source } : {};
  return outcomeOf(startCommand(["models", ...args], temporary.path, variables));
}

const figures = z.object({
  promptTokensPerSecond: z.number().optional(),
  generationTokensPerSecond: z.number().optional(),
  realTimeFactor: z.number().optional(),
  loadMs: z.number().optional(),
  memory: z.number().optional(),
});
const report = z.object({
  folder: z.string(),
  models: z.array(
    z.object({
      id: z.string(),
      stage: z.string(),
      estimated: z.boolean(),
      figures,
      verdict: z.object({ grade: z.string(), words: z.string() }),
      problem: z.string().optional(),
    }),
  ),
  voiceToVoice: z.object({ ms: z.number(), models: z.record(z.string(), z.string()) }).optional(),
});

test("without downloaded models, what the catalogue's would do here is estimated", async () => {
  const { code, out } = await run(undefined, "bench", "--json");
  expect(code).toBe(0);
  const { models: rows } = report.parse(JSON.parse(out));
  expect(rows.map(({ id }) => id).toSorted()).toEqual(
    BUILTIN_CATALOG.map(({ id }) => id).toSorted(),
  );
  expect(rows.every(({ estimated }) => estimated)).toBe(true);
  const llm = rows.filter(({ stage }) => stage === "llm");
  expect(llm.every(({ verdict }) => verdict.grade !== "unknown")).toBe(true);
  expect(readMeasurements(models)).toEqual({});
});

test("downloaded models are loaded and measured, and their figures are stored", async () => {
  const ids = ["moonshine-tiny-en", "smollm2-135m", "piper-joe-medium"];
  expect(await run(catalog.path, "pull", ...ids)).toMatchObject({ code: 0 });
  const { code, out, errors } = await run(catalog.path, "bench", "--json");
  expect({ code, errors }).toMatchObject({ code: 0 });
  const { models: rows, voiceToVoice } = report.parse(JSON.parse(out));
  console.log(out);
  expect(rows.map(({ id }) => id)).toEqual(ids);
  const [stt, llm, tts] = rows;
  for (const row of rows) {
    expect(row).toMatchObject({ estimated: false });
    expect(row.problem).toBeUndefined();
    expect(row.figures.loadMs).toBeGreaterThan(0);
    if (process.platform === "linux") expect(row.figures.memory).toBeGreaterThan(30e6);
  }
  expect(stt?.figures.realTimeFactor).toBeGreaterThan(0);
  expect(llm?.figures.promptTokensPerSecond).toBeGreaterThan(0);
  expect(llm?.figures.generationTokensPerSecond).toBeGreaterThan(0);
  expect(tts?.figures.realTimeFactor).toBeGreaterThan(0);
  expect(voiceToVoice?.models).toEqual(
    Object.fromEntries(rows.map(({ id, stage }) => [stage, id])),
  );
  expect(Object.keys(readMeasurements(models)).toSorted()).toEqual(ids.toSorted());
}, 120_000);

test("a model that cannot be loaded is listed with its reason, and the others are measured", async () => {
  const path = join(models, "smollm2-135m", "SmolLM2-135M-Instruct.Q4_1.gguf");
  writeFileSync(path, Buffer.alloc(Bun.file(path).size));
  const { code, out } = await run(catalog.path, "bench", "smollm2-135m", "piper-joe-medium");
  expect(code).toBe(1);
  expect(out).toMatch(/^llm {2}smollm2-135m {6}.* [A-Z].*smollm2-135m/m);
  expect(out).toMatch(
    /^tts {2}piper-joe-medium {2}\d+ % of real time, loads in .* (good|usable|too slow): /m,
  );
});

test("a model that the catalogue does not have, and an unknown option, are refused", async () => {
  expect(await run(catalog.path, "bench", "nothing")).toMatchObject({ code: 1 });
  expect(await run(catalog.path, "bench", "--fast")).toMatchObject({ code: 2 });
});
