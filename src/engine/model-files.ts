import { open, stat } from "node:fs/promises";
import { join } from "node:path";
import type { LocalModel } from "../domain/model.ts";
import { Failure } from "../errors.ts";
import { readOnnxFile } from "./onnx-file.ts";

/**
 * Looks at a model's files before a library gets them: sherpa-onnx ends the whole process at a
 * model without its properties, where a message can say which file is wrong.
 *
 * @throws Failure `unavailable` that names the file and says what to do
 */
export async function checkModelFiles(model: LocalModel): Promise<void> {
  switch (model.kind) {
    case "gguf":
      return checkGguf(model.model);
    case "moonshine":
      await checkNetwork(model.encoder);
      await checkNetwork(model.mergedDecoder);
      return checkTokens(model.tokens);
    case "whisper":
      await checkNetwork(model.encoder, "n_mels", "n_vocab");
      await checkNetwork(model.decoder);
      return checkTokens(model.tokens);
    case "streaming-transducer":
      await checkNetwork(model.encoder, "model_type");
      await checkNetwork(model.decoder);
      await checkNetwork(model.joiner);
      return checkTokens(model.tokens);
    case "nemo-transducer":
      await checkNetwork(model.encoder, "vocab_size");
      await checkNetwork(model.decoder);
      await checkNetwork(model.joiner);
      return checkTokens(model.tokens);
    case "piper":
      await checkNetwork(model.model, "sample_rate", "n_speakers");
      await checkTokens(model.tokens);
      return checkPhonemes(model.phonemes);
    case "kokoro":
      await checkNetwork(model.model, "sample_rate", "n_speakers", "style_dim", "has_espeak");
      await checkKokoroVoices(model.model, model.voices);
      await checkTokens(model.tokens);
      return checkPhonemes(model.phonemes);
  }
}

const MEND = "Fetch the model again, or choose another one.";

function damaged(path: string, what: string): Failure {
  return new Failure("unavailable", `The model file ${path} ${what}. ${MEND}`);
}

/** @returns its first bytes */
async function checkFile(path: string): Promise<Buffer> {
  try {
    await using file = await open(path, "r");
    const { buffer, bytesRead } = await file.read(Buffer.alloc(8), 0, 8, 0);
    if (bytesRead < 8) throw damaged(path, "is empty or cut short");
    return buffer;
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure("unavailable", `The model file ${path} cannot be read. ${MEND}`, {
      cause: error,
    });
  }
}

const ORT_MARK = "ORTM";

/** Either of the two forms in which ONNX Runtime takes a network. */
async function checkNetwork(path: string, ...properties: string[]): Promise<void> {
  const head = await checkFile(path);
  // Its own form has no length to compare; ONNX Runtime verifies it as it loads, without exiting.
  if (head.toString("latin1", 4, 8) === ORT_MARK) return;
  const file = await readOnnxFile(path);
  if (!file.whole) throw damaged(path, "is damaged or cut short");
  const missing = properties.filter((name) => !file.properties.has(name));
  if (missing.length > 0) {
    const which = missing.join(", ");
    throw new Failure(
      "unavailable",
      `The model file ${path} lacks the properties (${which}) by which sherpa-onnx knows what it ` +
        "is. Take the model in the form that sherpa-onnx publishes.",
    );
  }
}

const BYTES_OF_FLOAT = 4;

/** sherpa-onnx exits where the voices are not as many numbers as the network says. */
async function checkKokoroVoices(network: string, voices: string): Promise<void> {
  await checkFile(voices);
  const { properties } = await readOnnxFile(network);
  const numbersOf = (name: string) => (properties.get(name) ?? "").split(",").map(Number);
  const numbers = [...numbersOf("style_dim"), ...numbersOf("n_speakers")];
  const expected = numbers.reduce((product, number) => product * number, BYTES_OF_FLOAT);
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
    `${folder} is not a folder of espeak-ng's data: it has no phontab. ${MEND}`,
  );
}
