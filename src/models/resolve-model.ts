import { readdirSync, statSync } from "node:fs";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { type LocalModel, MODEL_KINDS, type ModelKind } from "../domain/model.ts";
import type { Stage } from "../domain/stage.ts";
import { Failure } from "../errors.ts";
import { kindOf, modelFromFiles } from "./model-files.ts";

/** Where systems install espeak-ng's data, for voices without their own. */
const SYSTEM_PHONEMES = [
  "/usr/share/espeak-ng-data",
  "/usr/lib/x86_64-linux-gnu/espeak-ng-data",
  "/usr/lib/aarch64-linux-gnu/espeak-ng-data",
  "/opt/homebrew/share/espeak-ng-data",
  "/usr/local/share/espeak-ng-data",
];
const MAX_DEPTH = 4;

const EXPECTED_FILES: Readonly<Record<Stage, string>> = {
  stt:
    "the .onnx files and tokens.txt of a Moonshine, Whisper, Zipformer, NeMo or SenseVoice model for " +
    "sherpa-onnx",
  llm: "a .gguf file",
  tts:
    "a Piper, Kokoro, Kitten, Matcha, Supertonic, Pocket or ZipVoice voice for sherpa-onnx, with " +
    "all its files (of a Piper voice: .onnx, tokens.txt and espeak-ng-data)",
};

/**
 * Finds the model in a file or folder that the user names.
 *
 * @param named a path or file:// URL; for one file of a model, its whole folder is searched
 * @param namedBy the variable or option with this value, for messages
 * @throws Failure that says which files were expected
 */
export function resolveModel(
  stage: Stage,
  named: string,
  namedBy: string = `${stage.toUpperCase()}_MODEL`,
): LocalModel {
  const path = pathOf(named, namedBy);
  const stats = statSync(path, { throwIfNoEntry: false });
  if (!stats) throw new Failure("not_found", `${namedBy} names ${path}, which does not exist`);
  const isFile = stats.isFile();
  if (isFile && stage === "llm") {
    return modelFromFiles(stage, "gguf", {
      id: idOf(path),
      folder: dirname(path),
      paths: [basename(path)],
    });
  }
  const folder = isFile ? dirname(path) : path;
  const paths = filesIn(folder);
  // A folder may contain several models; the named file decides.
  const candidates = isFile
    ? [basename(path), ...paths.filter((one) => !sameKind(one, path))]
    : paths;
  const kind = kindOf(stage, folder, candidates);
  if (kind === undefined) {
    throw new Failure("invalid", `${namedBy} names ${path}; expected ${EXPECTED_FILES[stage]}`);
  }
  const files = { id: idOf(isFile ? path : folder), folder, paths: candidates };
  return withSystemPhonemes(stage, kind, files);
}

function withSystemPhonemes(
  stage: Stage,
  kind: ModelKind,
  files: { id: string; folder: string; paths: string[] },
): LocalModel {
  const phonemes = SYSTEM_PHONEMES.find((folder) =>
    statSync(join(folder, "phontab"), { throwIfNoEntry: false })?.isFile(),
  );
  if (
    !("phonemes" in MODEL_KINDS[kind].parts) ||
    phonemes === undefined ||
    files.paths.some((one) => /(^|\/)phontab$/.test(one))
  ) {
    return modelFromFiles(stage, kind, files);
  }
  const model = modelFromFiles(stage, kind, {
    ...files,
    paths: [...files.paths, "espeak-ng-data/phontab"],
  });
  return { ...model, phonemes } as LocalModel;
}

function pathOf(named: string, namedBy: string): string {
  if (!named.startsWith("file://")) return resolve(named);
  try {
    return fileURLToPath(named);
  } catch (error) {
    throw new Failure("invalid", `${namedBy}=${named} is not a file:// URL of this machine`, {
      cause: error,
    });
  }
}

function sameKind(path: string, other: string): boolean {
  const ending = /\.(onnx|ort|gguf)$/;
  const end = ending.exec(other)?.[0];
  return (
    end !== undefined && !/encoder|decoder|joiner|gtcrn|punct/.test(other) && path.endsWith(end)
  );
}

/** The files of a folder and its subfolders, as relative paths with forward slashes. */
export function filesIn(folder: string, depth = MAX_DEPTH): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.name.startsWith(".")) return [];
    const isFolder = entry.isDirectory();
    if (isFolder)
      return depth === 0 ? [] : filesIn(path, depth - 1).map((one) => `${entry.name}/${one}`);
    return [relative(folder, path).split(sep).join("/")];
  });
}

function idOf(path: string): string {
  return basename(path).replace(/\.(gguf|onnx|ort)$/, "") || "model";
}
