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
import { Failure, messageOf } from "../errors.ts";
import { BUNDLE_NAMES, type PackedBundle, type PackedFile } from "./contents.ts";

/** What is decompressed, hashed and written in one go; 1 MiB takes about 2 ms. */
const CHUNK = 1 << 20;
const HASH_LENGTH = 16;
/** `.tmp-PID-…`: a file that a process writes. `.used-PID`: a process that may yet need the folder. */
const OWNED = /^\.(?:tmp|used)-(\d+)/;
const FOLDER = new RegExp(`^(${BUNDLE_NAMES.join("|")})-[0-9a-f]{${HASH_LENGTH}}$`);
const PRIVATE = 0o700;

/**
 * Puts a bundle's files on disk, where they are not there already, and removes those of other
 * versions that no process uses.
 *
 * Any number of processes may do so at once, and any of them may be killed: each file is written
 * aside, verified, synced and then renamed, so that what has its name is whole. On a warm start
 * only sizes are compared, since hashing everything would take longer than starting.
 *
 * @param root the cache folder; made if missing
 * @returns the bundle's folder
 * @throws Failure that says what is wrong with the cache folder and what can be done
 */
export async function unpack(bundle: PackedBundle, root: string): Promise<string> {
  const folder = join(root, `${bundle.name}-${bundle.hash.slice(0, HASH_LENGTH)}`);
  try {
    if (!(await isComplete(bundle, folder))) await complete(bundle, root, folder);
    // In a folder that is complete but cannot be written, such as a system's, nothing is removed.
    else await markUsed(folder).catch(() => {});
    await refuseNoExec(bundle, folder);
    return folder;
  } catch (error) {
    throw explain(error, root);
  }
}

async function isComplete(bundle: PackedBundle, folder: string): Promise<boolean> {
  if (!(await ownFolder(folder))) return false;
  return (await missing(bundle, folder)).length === 0;
}

async function complete(bundle: PackedBundle, root: string, folder: string): Promise<void> {
  await mkdir(root, { recursive: true, mode: PRIVATE });
  for (let attempt = 1; ; attempt++) {
    try {
      await mkdir(folder, { recursive: true, mode: PRIVATE });
      if (!(await ownFolder(folder))) throw new NotOurs(folder);
      await markUsed(folder);
      await removeLeftOvers(folder);
      const files = await missing(bundle, folder);
      await Promise.all(files.map((file) => unpackFile(file, folder)));
      await sync(folder);
      break;
    } catch (error) {
      // Somebody has tidied up meanwhile, such as a Parley in a container, which cannot see us.
      if (codeOf(error) !== "ENOENT" || attempt === 3) throw error;
    }
  }
  await removeOthers(bundle, root, folder).catch(() => {});
}

class NotOurs extends Error {
  constructor(path: string) {
    super(`${path} belongs to somebody else`);
  }
}

/** Whether a folder is there and safe to run code from. Its mode is put right where it can be. */
async function ownFolder(folder: string): Promise<boolean> {
  const found = await lstat(folder).catch(() => undefined);
  if (!found) return false;
  if (!found.isDirectory() || !isTrusted(found.uid)) throw new NotOurs(folder);
  if ((found.mode & 0o022) !== 0 && process.platform !== "win32") await chmod(folder, PRIVATE);
  return true;
}

/** Ours, or the administrator's, who may have unpacked for all. */
function isTrusted(uid: number): boolean {
  return process.getuid === undefined || uid === process.getuid() || uid === 0;
}

async function missing(bundle: PackedBundle, folder: string): Promise<PackedFile[]> {
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
  const aside = join(folder, `.tmp-${process.pid}-${random}-${file.name}`);
  try {
    await writeUnpacked(file, aside);
    await rename(aside, join(folder, file.name));
  } finally {
    await rm(aside, { force: true });
  }
}

async function writeUnpacked(file: PackedFile, path: string): Promise<void> {
  const hasher = new Bun.CryptoHasher("sha256");
  // Executable, all of them: so `access` can tell whether the mount allows it.
  const target = await open(path, "wx", PRIVATE);
  try {
    for await (const chunk of unpacked(file.packed)) {
      hasher.update(chunk);
      await target.writeFile(chunk);
    }
    await target.sync();
  } finally {
    await target.close();
  }
  if (hasher.digest("hex") !== file.sha256) {
    throw new Failure("unavailable", `${file.name} inside this executable is damaged: get it anew`);
  }
}

/** Decompresses in zlib's own threads, a chunk at a time, so that requests are served meanwhile. */
async function* unpacked(packed: string): AsyncGenerator<Uint8Array> {
  // A warm start does without.
  const { createZstdDecompress } = await import("node:zlib");
  const source = Bun.file(packed);
  const decompress = createZstdDecompress({ chunkSize: CHUNK });
  const feed = async () => {
    for (let at = 0; at < source.size; at += CHUNK) {
      const bytes = await source.slice(at, at + CHUNK).bytes();
      const { promise, resolve } = Promise.withResolvers<void>();
      decompress.write(bytes, () => resolve());
      await promise;
    }
    decompress.end();
  };
  const feeding = feed().catch((error: unknown) => {
    decompress.destroy(error instanceof Error ? error : new Error(messageOf(error)));
  });
  for await (const chunk of decompress) yield chunk as Uint8Array;
  await feeding;
}

/** Makes the renames in a folder outlive a power cut. */
async function sync(folder: string): Promise<void> {
  // Windows opens no folders; there the file system keeps the order.
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function markUsed(folder: string): Promise<void> {
  await writeFile(join(folder, `.used-${process.pid}`), "", { mode: 0o600 });
  const now = new Date();
  await utimes(folder, now, now);
}

/** Removes what processes that are gone have left. */
async function removeLeftOvers(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (isLeftOver(name)) await rm(join(folder, name), { force: true });
  }
}

async function removeOthers(bundle: PackedBundle, root: string, folder: string): Promise<void> {
  for (const name of await readdir(root)) {
    const other = join(root, name);
    if (FOLDER.exec(name)?.[1] !== bundle.name || other === folder) continue;
    await removeLeftOvers(other);
    const used = (await readdir(other)).some((name) => OWNED.test(name));
    if (!used) await rm(other, { recursive: true, force: true });
  }
}

function isLeftOver(name: string): boolean {
  const pid = Number(OWNED.exec(name)?.[1]);
  if (!pid || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return codeOf(error) === "ESRCH";
  }
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

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

const INSTEAD = "Set PARLEY_CACHE_DIR to another folder";

function explain(error: unknown, root: string): Failure {
  if (error instanceof Failure) return error;
  const because = (text: string) =>
    new Failure(
      "unavailable",
      `Parley unpacks its native libraries to ${root}, but ${text}. ${INSTEAD}`,
      { cause: error },
    );
  if (error instanceof NoExec) return because("programs may not run from there (noexec)");
  if (error instanceof NotOurs) return because(error.message);
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
