import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, totalmem } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { codeOf, Failure } from "../errors.ts";
import { parseJson } from "../lib/json.ts";

const figure = z.number().positive().finite();

/** What a model was measured to do on this machine, by one conversation alone. */
const modelMeasurement = z.object({
  /** Of a language model: tokens a second of a long prompt, and of an answer. */
  promptTokensPerSecond: figure.optional(),
  generationTokensPerSecond: figure.optional(),
  /** Of a recogniser or a voice: the time of the work by the time of the audio. */
  realTimeFactor: figure.optional(),
  /** Of a voice: from the request for a sentence to its first sound, in ms. */
  firstSoundMs: figure.optional(),
  /** From the start of the engine's process until it is loaded, in ms. */
  loadMs: figure,
  /** What the engine's process takes with it after some work, in bytes; unknown on some systems. */
  memory: figure.optional(),
  /** ISO 8601. */
  measuredAt: z.iso.datetime(),
});
export type ModelMeasurement = z.infer<typeof modelMeasurement>;
/** What of it depends on the speed and the size alone, so that it can be estimated as well. */
export type Figures = Omit<ModelMeasurement, "loadMs" | "measuredAt">;

/** By model id. */
export type Measurements = Readonly<Record<string, ModelMeasurement>>;

const measurementsFile = z.object({
  /** Figures of another machine, or of this one before its memory grew, do not count. */
  machine: z.string(),
  models: z.record(z.string(), modelMeasurement),
});

/**
 * What was measured on this machine.
 *
 * @param folder the one of the models
 * @returns nothing if nothing was measured here, or the file cannot be read: the figures can be
 *   measured again, so they must not keep anything from starting
 */
export function readMeasurements(folder: string): Measurements {
  const { data } = measurementsFile.safeParse(parseJson(textOf(pathIn(folder))));
  return data?.machine === thisMachineName() ? data.models : {};
}

/** Adds what was measured to the file, in place of earlier figures. @throws Failure when it cannot */
export function storeMeasurements(folder: string, measured: Measurements): void {
  const models = { ...readMeasurements(folder), ...measured };
  const path = pathIn(folder);
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(
      temporary,
      `${JSON.stringify({ machine: thisMachineName(), models }, null, 2)}\n`,
    );
    renameSync(temporary, path);
  } catch (error) {
    if (existsSync(temporary)) rmSync(temporary);
    throw new Failure("unavailable", `${path} cannot be written (${codeOf(error)})`, {
      cause: error,
    });
  }
}

/** A file of the folder that is no model: ids do not contain a slash, and models are folders. */
function pathIn(folder: string): string {
  return join(folder, "measurements.json");
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function thisMachineName(): string {
  const gib = Math.round(totalmem() / 2 ** 30);
  return `${cpus()[0]?.model.trim() ?? "unknown"}, ${availableParallelism()} processors, ${gib} GiB`;
}
