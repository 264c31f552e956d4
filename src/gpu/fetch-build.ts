import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { downloadFile } from "../download/download-file.ts";
import { lock } from "../lib/lock.ts";
import { GPU_BUILD_VERSION, type GpuBuild } from "./gpu-builds.ts";

const NPM_REGISTRY = "https://registry.npmjs.org";
const PRIVATE_MODE = 0o700;

export interface FetchOptions {
  /** The cache folder. */
  cache: string;
  /** Address of a registry of npm packages; npm's own if unset. */
  registry?: string | undefined;
  signal?: AbortSignal | undefined;
  /** Bytes so far, and in total. */
  onProgress?: (received: number, total: number) => void;
}

/** The folder of a build, whether it is there or not. */
export function folderOf({ folder }: GpuBuild, cache: string): string {
  return join(cache, `gpu-${folder}-${GPU_BUILD_VERSION}`);
}

export function isFetched(build: GpuBuild, cache: string): boolean {
  return existsSync(join(folderOf(build, cache), "llama-addon.node"));
}

/** Bytes to download. */
export function sizeOf({ archives }: GpuBuild): number {
  return archives.reduce((sum, { bytes }) => sum + bytes, 0);
}

/**
 * Downloads, verifies and unpacks a build, unless it is there. The folder gets its name when it is
 * complete; a download that was interrupted is resumed.
 *
 * @returns its folder
 * @throws Failure that says what went wrong, or the signal's reason
 */
export async function fetchBuild(build: GpuBuild, options: FetchOptions): Promise<string> {
  const { cache, signal } = options;
  const folder = folderOf(build, cache);
  if (isFetched(build, cache)) return folder;
  await mkdir(cache, { recursive: true, mode: PRIVATE_MODE });
  await using _ = await lock(`${folder}.lock`, { signal });
  // Another process may have done it meanwhile.
  if (isFetched(build, cache)) return folder;
  const archives = await downloadAll(build, options);
  const work = await mkdtemp(`${folder}.tmp-`);
  try {
    for (const archive of archives) await extract(archive, work);
    await rm(folder, { recursive: true, force: true });
    await rename(join(work, "package", "bins", build.folder), folder);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  for (const archive of archives) await rm(archive, { force: true });
  await removeOlder(build, cache);
  return folder;
}

async function downloadAll(build: GpuBuild, options: FetchOptions): Promise<string[]> {
  const { cache, registry = NPM_REGISTRY, signal, onProgress } = options;
  const total = sizeOf(build);
  const paths: string[] = [];
  let before = 0;
  for (const { name, bytes, sha256 } of build.archives) {
    const file = `${name}-${GPU_BUILD_VERSION}.tgz`;
    const path = join(cache, file);
    await downloadFile({
      url: `${registry.replace(/\/+$/, "")}/@node-llama-cpp/${name}/-/${file}`,
      to: path,
      ...{ sha256, bytes, signal },
      onProgress: (received) => onProgress?.(before + received, total),
    });
    before += bytes;
    paths.push(path);
  }
  return paths;
}

/** The hash of the archive was compared, so its paths can be trusted. */
async function extract(archive: string, folder: string): Promise<void> {
  await new Bun.Archive(await Bun.file(archive).bytes()).extract(folder);
}

/** Removes the builds of other versions. Where a system keeps one that is in use, it stays. */
async function removeOlder(build: GpuBuild, cache: string): Promise<void> {
  const own = folderOf(build, cache);
  for (const name of await readdir(cache)) {
    const path = join(cache, name);
    if (!/^gpu-[\w-]+-\d+\.\d+\.\d+$/.test(name) || path === own) continue;
    if (name.startsWith(`gpu-${build.folder}-`)) {
      await rm(path, { recursive: true, force: true }).catch(() => {});
    }
  }
}
