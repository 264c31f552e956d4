import { mkdir, stat, statfs } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { CatalogModel, ModelFile } from "../domain/catalog.ts";
import { downloadFile } from "../download/download-file.ts";
import { DiskFull } from "../download/part-file.ts";
import { Failure, messageOf } from "../errors.ts";
import { fileHash } from "../lib/file-hash.ts";
import { lock } from "../lib/lock.ts";
import { formatBytes } from "../lib/words.ts";
import { type HuggingFace, PUBLIC_HUGGING_FACE, requestFor } from "./hugging-face.ts";
import { isExtended, preparePiperVoice } from "./piper-voice.ts";

export interface ModelProgress {
  received: number;
  total: number;
  bytesPerSecond: number;
}

export interface ModelDownloadOptions {
  /** `$DATA_DIR/models`; the model gets a subfolder with its id as the name. */
  folder: string;
  /** Without it, Hugging Face itself and no account. */
  huggingFace?: HuggingFace | undefined;
  signal?: AbortSignal | undefined;
  stallMs?: number | undefined;
  onProgress?: ((progress: ModelProgress) => void) | undefined;
  /** Called if another process is downloading the same model. */
  onWait?: (() => void) | undefined;
  /** Returns the free bytes on the disk of a folder. */
  freeBytes?: (folder: string) => Promise<number>;
}

/** Disk space that a download leaves to the database and other programs. */
const SPARE_BYTES = 200 * 2 ** 20;

/**
 * Downloads and verifies a model. Files that exist are verified and kept; each new file gets its
 * name when it is complete. A failed or cancelled download is resumed by the next one.
 *
 * @throws Failure that says what went wrong and how to do it by hand, or the signal's reason
 */
export async function downloadModel(
  model: CatalogModel,
  options: ModelDownloadOptions,
): Promise<void> {
  const target = join(options.folder, model.id);
  await mkdir(target, { recursive: true, mode: 0o700 });
  await using _lock = await lock(join(options.folder, `.${model.id}.lock`), {
    signal: options.signal,
    ...(options.onWait === undefined ? {} : { onWait: options.onWait }),
  });
  const missing: ModelFile[] = [];
  for (const file of model.files) {
    options.signal?.throwIfAborted();
    if (!(await isComplete(join(target, file.path), model, file))) missing.push(file);
  }
  await assertSpace(model, missing, target, options.freeBytes);
  const meter = progressMeter(model, missing, options.onProgress);
  for (const file of missing) {
    const to = join(target, file.path);
    await mkdir(dirname(to), { recursive: true, mode: 0o700 });
    await fromAnySource(model, file, to, options, (received) => meter.fileAt(received));
    meter.fileDone(file);
  }
  await preparePiperVoice(model, target);
}

/**
 * Tries the sources of a file in their order, until one gives the published bytes. What one has sent
 * before it broke off is continued from the next.
 *
 * @throws Failure with what was wrong with each
 */
async function fromAnySource(
  { name }: CatalogModel,
  file: ModelFile,
  to: string,
  options: ModelDownloadOptions,
  onProgress: (received: number) => void,
): Promise<void> {
  const { path, bytes, sha256 } = file;
  const { signal, stallMs, huggingFace = PUBLIC_HUGGING_FACE } = options;
  const plain = file.sources.filter(({ member }) => member === undefined);
  if (plain.length === 0) {
    throw new Failure("unavailable", `${name} has no source for ${path} that is not an archive`);
  }
  const failures: Failure[] = [];
  for (const { url } of plain) {
    const from = requestFor(url, huggingFace);
    try {
      return await downloadFile({ ...from, to, bytes, sha256, signal, stallMs, onProgress });
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      failures.push(error);
      // No source can do anything about the disk.
      if (error instanceof DiskFull) break;
    }
  }
  throw withManualSteps(failures, file, to);
}

/** Compares with the published file, because the user may have copied this one. */
async function isComplete(path: string, model: CatalogModel, file: ModelFile): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isFile() || found.size < file.bytes) return false;
  if (found.size > file.bytes && !isExtended(model, file)) return false;
  return (await fileHash(path, file.bytes)) === file.sha256;
}

async function assertSpace(
  model: CatalogModel,
  missing: readonly ModelFile[],
  target: string,
  freeBytes: (folder: string) => Promise<number> = freeOnDisk,
): Promise<void> {
  let needed = 0;
  for (const { path, bytes } of missing) {
    const kept = (await stat(`${join(target, path)}.part`).catch(() => undefined))?.size ?? 0;
    needed += Math.max(0, bytes - kept);
  }
  const free = await freeBytes(target);
  if (needed === 0 || needed + SPARE_BYTES <= free) return;
  throw new Failure(
    "unavailable",
    `${model.name} needs ${formatBytes(needed)} more and ${formatBytes(SPARE_BYTES)} to spare, but the ` +
      `disk of ${target} has ${formatBytes(free)} free. Free some space, or set DATA_DIR to a folder on another disk.`,
  );
}

async function freeOnDisk(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

function withManualSteps(
  failures: readonly Failure[],
  { sources: [source] }: ModelFile,
  to: string,
): Failure {
  return new Failure(
    "unavailable",
    `${failures.map(messageOf).join("; ")}. Try again: the download resumes where it stopped. Or download the file by hand from ${source?.url} and save it as ${to}`,
    { cause: failures.length === 1 ? failures[0] : new AggregateError(failures) },
  );
}

/** The speed is the average over this time. */
const SPEED_WINDOW_MS = 5000;
const SPEED_SAMPLE_MS = 200;

/** Adds up the progress of all files, and measures the speed. */
function progressMeter(
  model: CatalogModel,
  missing: readonly ModelFile[],
  onProgress: ((progress: ModelProgress) => void) | undefined,
) {
  const total = model.files.reduce((sum, { bytes }) => sum + bytes, 0);
  let done = total - missing.reduce((sum, { bytes }) => sum + bytes, 0);
  let samples: { at: number; received: number }[] = [];
  let isNewFile = true;
  const report = (received: number) => {
    const now = performance.now();
    const last = samples.at(-1);
    if (last === undefined || now - last.at >= SPEED_SAMPLE_MS) {
      samples = [...samples.filter(({ at }) => now - at < SPEED_WINDOW_MS), { at: now, received }];
    }
    const [first] = samples;
    const seconds = first ? (now - first.at) / 1000 : 0;
    const bytesPerSecond =
      first && seconds > 0 ? Math.max(0, Math.round((received - first.received) / seconds)) : 0;
    onProgress?.({ received, total, bytesPerSecond });
  };
  return {
    fileAt: (received: number) => {
      // The bytes of an earlier download count as received, but not for the speed.
      if (isNewFile) samples = [];
      isNewFile = false;
      report(done + received);
    },
    fileDone: ({ bytes }: ModelFile) => {
      done += bytes;
      isNewFile = true;
      report(done);
    },
  };
}
