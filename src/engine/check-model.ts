import { open, stat } from "node:fs/promises";
import { join } from "node:path";
import { type LocalModel, MODEL_KINDS, type ModelPart, pathsOf } from "../domain/model.ts";
import { Failure } from "../errors.ts";
import { readOnnxFile } from "../lib/onnx-file.ts";

const HINT = "Fetch the model again, or choose another one.";

/**
 * Checks a model's files before a library loads them: sherpa-onnx ends the whole process at a model
 * that lacks metadata, where a check can say which file is wrong.
 *
 * @throws Failure `unavailable` that names the file and says what to do
 */
export async function checkModelFiles(model: LocalModel): Promise<void> {
  const files: Readonly<Record<string, string | string[] | undefined>> = model;
  for (const [name, part] of Object.entries(MODEL_KINDS[model.kind].parts)) {
    for (const path of [files[name] ?? []].flat()) await checkPart(part, path);
  }
  if (model.kind === "kokoro" || model.kind === "kitten") await checkVoiceSize(model);
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
    case "styles":
      return checkStyles(path);
    case "json":
      return checkJson(path);
    case "wav":
      return checkWav(path);
    case "voices":
    case "file":
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
  const file = readOnnxFile(path);
  if (!file.complete) throw damaged(path, "is damaged or cut short");
  const isMissing = (names: string) => !names.split("|").some((name) => file.properties.has(name));
  const missing = properties.filter(isMissing);
  if (missing.length > 0) {
    const names = missing.join(", ").replaceAll("|", " or ");
    throw new Failure(
      "unavailable",
      `The model file ${path} lacks the properties (${names}) that tell sherpa-onnx how to use it. ` +
        "Use the model in the form that sherpa-onnx publishes.",
    );
  }
}

const BYTES_PER_FLOAT = 4;
const STYLES_HEAD_BYTES = 48;

/** sherpa-onnx ends the process where the voices have a size other than the network says. */
async function checkVoiceSize({ model, voices }: { model: string; voices: string }) {
  const { properties } = readOnnxFile(model);
  const numbersOf = (name: string) => (properties.get(name) ?? "").split(",").map(Number);
  const dimensions = [...numbersOf("style_dim"), ...numbersOf("n_speakers")];
  const expected = dimensions.reduce((product, number) => product * number, BYTES_PER_FLOAT);
  const { size } = await stat(voices);
  if (size !== expected) throw damaged(voices, `has ${size} bytes instead of ${expected}`);
}

/**
 * The file of Supertonic's voices: six dimensions, 64 bits each, of two tables of floats, and the
 * tables.
 */
async function checkStyles(path: string): Promise<void> {
  await checkFile(path);
  const head = await Bun.file(path).slice(0, STYLES_HEAD_BYTES).bytes();
  const { size } = await stat(path);
  if (head.length < STYLES_HEAD_BYTES) throw damaged(path, "is empty or cut short");
  const dimensions = [...new BigInt64Array(head.buffer)].map(Number);
  const product = (from: number) => dimensions.slice(from, from + 3).reduce((a, b) => a * b, 1);
  const expected = STYLES_HEAD_BYTES + BYTES_PER_FLOAT * (product(0) + product(3));
  if (size !== expected) throw damaged(path, `has ${size} bytes instead of ${expected}`);
}

async function checkJson(path: string): Promise<void> {
  await checkFile(path);
  const isObject = await Bun.file(path)
    .json()
    .then((value) => typeof value === "object" && value !== null)
    .catch(() => false);
  if (!isObject) throw damaged(path, "is no JSON");
}

async function checkWav(path: string): Promise<void> {
  const head = await checkFile(path);
  if (head.toString("latin1", 0, 4) !== "RIFF") throw damaged(path, "is no WAV file");
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
