import { open, stat } from "node:fs/promises";
import { join } from "node:path";
import { type LocalModel, MODEL_KINDS, type ModelPart } from "../domain/model.ts";
import { Failure } from "../errors.ts";
import { readOnnxFile } from "./onnx-file.ts";

const HINT = "Fetch the model again, or choose another one.";

/**
 * Checks a model's files before a library loads them: sherpa-onnx ends the whole process at a model
 * that lacks metadata, where a check can say which file is wrong.
 *
 * @throws Failure `unavailable` that names the file and says what to do
 */
export async function checkModelFiles(model: LocalModel): Promise<void> {
  const paths: Readonly<Record<string, string>> = model;
  for (const [name, part] of Object.entries(MODEL_KINDS[model.kind].parts)) {
    const path = paths[name] ?? "";
    await checkPart(part, path);
    if (model.kind === "kokoro" && part.format === "voices") await checkVoiceSize(model);
  }
}

function checkPart({ format, properties = [] }: ModelPart, path: string): Promise<unknown> {
  switch (format) {
    case "onnx":
      return checkNetwork(path, properties);
    case "gguf":
      return checkGguf(path);
    case "tokens":
      return checkTokens(path);
    case "phonemes":
      return checkPhonemes(path);
    case "voices":
      return checkFile(path);
  }
}

function damaged(path: string, problem: string): Failure {
  return new Failure("unavailable", `The model file ${path} ${problem}. ${HINT}`);
}

/** @returns the first bytes of the file */
async function checkFile(path: string): Promise<Buffer> {
  try {
    await using file = await open(path, "r");
    const { buffer, bytesRead } = await file.read(Buffer.alloc(8), 0, 8, 0);
    if (bytesRead < 8) throw damaged(path, "is empty or cut short");
    return buffer;
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure("unavailable", `The model file ${path} cannot be read. ${HINT}`, {
      cause: error,
    });
  }
}

const ORT_MARK = "ORTM";

/** Checks a network in either of ONNX Runtime's formats, .onnx and .ort. */
async function checkNetwork(path: string, properties: readonly string[]): Promise<void> {
  const head = await checkFile(path);
  // An .ort file does not contain its length. ONNX Runtime verifies it without ending the process.
  if (head.toString("latin1", 4, 8) === ORT_MARK) return;
  const file = await readOnnxFile(path);
  if (!file.complete) throw damaged(path, "is damaged or cut short");
  const missing = properties.filter((name) => !file.properties.has(name));
  if (missing.length > 0) {
    const names = missing.join(", ");
    throw new Failure(
      "unavailable",
      `The model file ${path} lacks the properties (${names}) that tell sherpa-onnx how to use it. ` +
        "Use the model in the form that sherpa-onnx publishes.",
    );
  }
}

const BYTES_PER_FLOAT = 4;

/** sherpa-onnx ends the process where the voices have a size other than the network says. */
async function checkVoiceSize({ model, voices }: { model: string; voices: string }): Promise<void> {
  const { properties } = await readOnnxFile(model);
  const numbersOf = (name: string) => (properties.get(name) ?? "").split(",").map(Number);
  const dimensions = [...numbersOf("style_dim"), ...numbersOf("n_speakers")];
  const expected = dimensions.reduce((product, number) => product * number, BYTES_PER_FLOAT);
  const { size } = await stat(voices);
  if (size !== expected) throw damaged(voices, `has ${size} bytes instead of ${expected}`);
}

async function checkTokens(path: string): Promise<void> {
  await checkFile(path);
  const [line = ""] = (await Bun.file(path).slice(0, 1024).text()).split("\n");
  if (!/\s\d+\s*$/.test(line)) throw damaged(path, "does not hold lines of a token and its number");
}

async function checkGguf(path: string): Promise<void> {
  const head = await checkFile(path);
  if (head.toString("latin1", 0, 4) !== "GGUF") throw damaged(path, "is no GGUF file");
}

async function checkPhonemes(folder: string): Promise<void> {
  const table = await stat(join(folder, "phontab")).catch(() => undefined);
  if (table?.isFile()) return;
  throw new Failure(
    "unavailable",
    `${folder} is not a folder of espeak-ng's data: it has no phontab. ${HINT}`,
  );
}

const OUT_OF_MEMORY =
  /bad_alloc|out of memory|not enough (?:v?ram|memory)|insufficient memory|mem_buffer != NULL|failed to create context|(?:cannot|could not|failed to|unable to) allocate/i;

/**
 * The message for a model that could not be loaded: why, and what to do.
 *
 * @param errors what the library printed
 * @param killed whether the system killed the process, as it does when memory runs out
 */
export function loadFailure(model: LocalModel, errors: string, killed = false): string {
  const hint =
    killed || OUT_OF_MEMORY.test(errors)
      ? "There is not enough memory for it: choose a smaller model, or end other programs."
      : `One of its files is damaged, or not what it should be: ${pathsOf(model).join(", ")}. ${HINT}`;
  const reason =
    errors.trim().replace(/\.$/, "") || "its library ended the engine without an error message";
  return `The model ${model.id} cannot be loaded: ${reason}. ${hint}`;
}

function pathsOf(model: LocalModel): string[] {
  const { stage: _stage, id: _id, kind: _kind, ...paths } = model;
  return Object.values(paths);
}
