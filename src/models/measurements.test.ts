import { afterAll, beforeEach, expect, test } from "bun:test";
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../../test/database.ts";
import { readMeasurements, storeMeasurements } from "./measurements.ts";

const temporary = temporaryFolder();
const folder = join(temporary.path, "models");
const file = join(folder, "measurements.json");
const LLM = {
  promptTokensPerSecond: 80,
  generationTokensPerSecond: 12,
  loadMs: 900,
  memory: 2 ** 30,
  measuredAt: "2026-11-27T12:00:00.000Z",
};
const VOICE = { realTimeFactor: 0.2, loadMs: 300, measuredAt: "2026-11-27T12:00:00.000Z" };

beforeEach(() => rmSync(folder, { recursive: true, force: true }));
afterAll(() => temporary[Symbol.dispose]());

test("figures are stored by model, and newer ones replace older ones", () => {
  expect(readMeasurements(folder)).toEqual({});
  storeMeasurements(folder, { llm: LLM });
  storeMeasurements(folder, { llm: { ...LLM, loadMs: 800 }, voice: VOICE });
  expect(readMeasurements(folder)).toEqual({ llm: { ...LLM, loadMs: 800 }, voice: VOICE });
  expect(readdirSync(folder)).toEqual(["measurements.json"]);
});

test("figures of another machine, and a file that is none, count as nothing measured", async () => {
  storeMeasurements(folder, { llm: LLM });
  const stored: unknown = await Bun.file(file).json();
  for (const other of [
    JSON.stringify(Object.assign({}, stored, { machine: "another" })),
    JSON.stringify(stored).replace("80", "-80"),
    "{",
    "",
  ]) {
    writeFileSync(file, other);
    expect(readMeasurements(folder)).toEqual({});
    storeMeasurements(folder, { voice: VOICE });
    expect(readMeasurements(folder)).toEqual({ voice: VOICE });
  }
});

test("a folder that cannot be written to is named", () => {
  writeFileSync(folder, "a file");
  expect(() => storeMeasurements(folder, { llm: LLM })).toThrow(/measurements\.json cannot be/);
});
