import { constants } from "node:fs";
import {
  access,
  chmod,
  lstat,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  utimes,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { codeOf, Failure, messageOf } from "../errors.ts";
import { isRunning, startOf } from "../lib/is-running.ts";
import { BUNDLE_NAMES, type PackedBundle, type PackedFile } from "./contents.ts";

/** Bytes that are decompressed, hashed and written at a time; 1 MiB takes about 2 ms. */
const CHUNK_BYTES = 1 << 20;
const HASH_LENGTH = 16;
/**
 * `.tmp-PROCESS-…` is a file that a process is writing; `.used-PROCESS` marks a process that uses the
 * folder. PROCESS is the PID and, where the system has it, the start of the process: in a container
 * every Parley has the same PID.
 */
const PROCESS_FILE = /^\.(?:tmp|used)-(\d+)(?:-s(\d+))?/;
const BUNDLE_FOLDER = new RegExp(`^(${BUNDLE_NAMES.join("|")})-[0-9a-f]{${HASH_LENGTH}}$`);
const PRIVATE_MODE = 0o700;

/**
 * Unpacks a bundle's files unless they exist already, and removes the folders of other versions that
 * no process uses.
 *
 * Any number of processes may do this at once, and any of them may be killed: each file is written
 * under a temporary name, verified, synced and then renamed, so a file with its final name is
 * complete. A warm start only compares sizes, since hashing everything would take longer than the
 * start itself.
 *
 * @param root the cache folder; created if missing
 * @returns the bundle's folder
 * @throws Failure that says what is wrong with the cache folder and how to fix it
 */
export async function unpack(bundle: PackedBundle, root: string): Promise<string> {
  const folder = join(root, `${bundle.name}-${bundle.hash.slice(0, HASH_LENGTH)}`);
  try {
    if (!(await isComplete(bundle, folder))) await complete(bundle, root, folder);
    // Errors are ignored, since a read-only folder cannot be marked, but is not removed either.
    else await markUsed(folder).catch(() => {});
    await removeUnused(bundle, root, folder).catch(() => {});
    await refuseNoExec(bundle, folder);
    return folder;
  } catch (error) {
    throw explain(error, root);
  }
}

async function isComplete(bundle: PackedBundle, folder: string): Promise<boolean> {
  if (!(await ensureSafeFolder(folder))) return false;
  return (await missingFiles(bundle, folder)).length === 0;
}

async function complete(bundle: PackedBundle, root: string, folder: string): Promise<void> {
  await mkdir(root, { recursive: true, mode: PRIVATE_MODE });
  for (let attempt = 1; ; attempt++) {
    try {
      await mkdir(folder, { recursive: true, mode: PRIVATE_MODE });
      if (!(await ensureSafeFolder(folder))) throw new UntrustedFolder(folder);
      await markUsed(folder);
      await removeFilesOf(isGone, folder);
      const files = await missingFiles(bundle, folder);
      await Promise.all(files.map((file) => unpackFile(file, folder)));
      await sync(folder);
      break;
    } catch (error) {
      // Another process removed the folder meanwhile: one in a container cannot see this process.
      if (codeOf(error) !== "ENOENT" || attempt === 3) throw error;
    }
  }
}

class UntrustedFolder extends Error {
  constructor(path: string) {
    super(`${path} belongs to another user`);
  }
}

/**
 * Whether a folder exists. If others may write to it, that is corrected.
 *
 * @throws UntrustedFolder if it is not safe to run code from
 */
async function ensureSafeFolder(folder: string): Promise<boolean> {
  const found = await lstat(folder).catch(() => undefined);
  if (!found) return false;
  if (!found.isDirectory() || !isTrusted(found.uid)) throw new UntrustedFolder(folder);
  if ((found.mode & 0o022) !== 0 && process.platform !== "win32") await chmod(folder, PRIVATE_MODE);
  return true;
}

/** Trusts this user, and root, who may have unpacked for everyone. */
function isTrusted(uid: number): boolean {
  return process.getuid === undefined || uid === process.getuid() || uid === 0;
}

async function missingFiles(bundle: PackedBundle, folder: string): Promise<PackedFile[]> {
  const found = await Promise.all(
    bundle.files.map(async (file) => {
      const stats = await lstat(join(folder, file.name)).catch(() => undefined);
      return stats?.isFile() && stats.size === file.size && isTrusted(stats.uid);
    }),
  );
  return bundle.files.filter((_, i) => !found[i]);
}

async function unpackFile(file: PackedFile, folder: string): Promise<void> {
  const random = crypto.randomUUID().slice(0, 8);
  const temporary = join(folder, `.tmp-${thisProcess()}-${random}-${file.name}`);
  try {
    await writeUnpacked(file, temporary);
    await rename(temporary, join(folder, file.name));
  } finally {
    await rm(temporary, { force: true });
  }
}

async function writeUnpacked(file: PackedFile, path: string): Promise<void> {
  const hasher = new Bun.CryptoHasher("sha256");
  // Every file is executable, so that `access` shows whether the mount allows execution.
  const target = await open(path, "wx", PRIVATE_MODE);
  try {
    for await (const chunk of decompress(file.packed)) {
      hasher.update(chunk);
      await target.writeFile(chunk);
    }
    await target.sync();
  } finally {
    await target.close();
  }
  if (hasher.digest("hex") !== file.sha256) {
    throw new Failure(
      "unavailable",
      `${file.name} inside this executable is damaged: download it again`,
    );
  }
}

/** Decompresses chunk by chunk in the threads of zlib, so that requests are served meanwhile. */
async function* decompress(packed: string): AsyncGenerator<Uint8Array> {
  // Imported here, since a warm start does not need it.
  const { createZstdDecompress } = await import("node:zlib");
  const source = Bun.file(packed);
  const stream = createZstdDecompress({ chunkSize: CHUNK_BYTES });
  const feed = async () => {
    for (let at = 0; at < source.size; at += CHUNK_BYTES) {
      const bytes = await source.slice(at, at + CHUNK_BYTES).bytes();
      const { promise, resolve } = Promise.withResolvers<void>();
      stream.write(bytes, () => resolve());
      await promise;
    }
    stream.end();
  };
  const feeding = feed().catch((error: unknown) => {
    stream.destroy(error instanceof Error ? error : new Error(messageOf(error)));
  });
  for await (const chunk of stream) yield chunk as Uint8Array;
  await feeding;
}

/** Makes the renames in a folder survive a power failure. */
async function sync(folder: string): Promise<void> {
  // Windows cannot open folders; its file system keeps the order of the writes.
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function markUsed(folder: string): Promise<void> {
  await writeFile(join(folder, `.used-${thisProcess()}`), "", { mode: 0o600 });
  const now = new Date();
  await utimes(folder, now, now);
}

/** Removes the files of processes that have exited, and the folders of versions that nobody uses. */
async function removeUnused(bundle: PackedBundle, root: string, folder: string): Promise<void> {
  await removeFilesOf(isGone, folder);
  for (const name of await readdir(root)) {
    const other = join(root, name);
    if (BUNDLE_FOLDER.exec(name)?.[1] !== bundle.name || other === folder) continue;
    // This process uses one version only: its own PID in another folder is an earlier process's.
    await removeFilesOf((owner) => owner.pid === process.pid || isGone(owner), other);
    const used = (await readdir(other)).some((name) => PROCESS_FILE.test(name));
    if (!used) await rm(other, { recursive: true, force: true });
  }
}

interface Owner {
  pid: number;
  /** When it started, as the system counts; undefined if the file does not say. */
  start: string | undefined;
}

async function removeFilesOf(matches: (owner: Owner) => boolean, folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const [, pid, start] = PROCESS_FILE.exec(name) ?? [];
    if (pid === undefined || !matches({ pid: Number(pid), start })) continue;
    await rm(join(folder, name), { force: true });
  }
}

/** Whether a process has exited; its PID may belong to another one by now. */
function isGone({ pid, start }: Owner): boolean {
  if (!isRunning(pid)) return true;
  const startNow = startOf(pid);
  return start !== undefined && startNow !== undefined && start !== startNow;
}

function thisProcess(): string {
  const start = startOf(process.pid);
  return start === undefined ? `${process.pid}` : `${process.pid}-s${start}`;
}

class NoExec extends Error {}

async function refuseNoExec({ files }: PackedBundle, folder: string): Promise<void> {
  const [first] = files;
  if (!first) return;
  await access(join(folder, first.name), constants.X_OK).catch((error: unknown) => {
    if (codeOf(error) === "EACCES") throw new NoExec();
    throw error;
  });
}

const CACHE_HINT = "Set PARLEY_CACHE_DIR to another folder";

function explain(error: unknown, root: string): Failure {
  if (error instanceof Failure) return error;
  const because = (text: string) =>
    new Failure(
      "unavailable",
      `Parley unpacks its native libraries to ${root}, but ${text}. ${CACHE_HINT}`,
      { cause: error },
    );
  if (error instanceof NoExec) return because("programs may not run from there (noexec)");
  if (error instanceof UntrustedFolder) return because(error.message);
  switch (codeOf(error)) {
    case "EROFS":
      return because("that file system is read-only");
    case "EACCES":
    case "EPERM":
      return because("this user may not write there");
    case "ENOSPC":
    case "EDQUOT":
      return because("the disk is full");
    default:
      return because(messageOf(error));
  }
}
