import { chmod, mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { Failure, messageOf } from "../errors.ts";
import { lock } from "../lib/lock.ts";
import { goInstall } from "./go-install.ts";
import {
  LIVEKIT_VERSION,
  RELEASES_URL,
  type ReleaseAsset,
  releaseAsset,
  releaseBinary,
} from "./release.ts";

export interface FindOptions {
  /** `LIVEKIT_SERVER_BIN`: this binary is used, or the search fails. */
  bin?: string | undefined;
  /** Unpacks the copy inside Parley's own executable. @returns its path */
  embedded?: (() => Promise<string>) | undefined;
  dataDir: string;
  /** More folders that may contain the binary, such as caches shared between checkouts. */
  cacheDirs?: readonly string[];
  /** Where a downloaded or built binary is kept; `$DATA_DIR/bin` if unset. */
  installDir?: string | undefined;
  /** Environment variables: PATH, and those that Go reads. */
  env: Readonly<Record<string, string | undefined>>;
  logger: Pick<Logger, "debug" | "info" | "warn">;
  /** Gets messages about long steps, a few times a minute; they are logged when unset. */
  onProgress?: ((message: string) => void) | undefined;
  signal?: AbortSignal | undefined;
  releasesUrl?: string | undefined;
  /** The archive to download; the official one of this platform if unset. */
  asset?: ReleaseAsset | undefined;
  /** How long a download may receive no data. */
  stallMs?: number | undefined;
}

const EXECUTABLE = process.platform === "win32" ? "livekit-server.exe" : "livekit-server";
const VERSION_TIMEOUT_MS = 10_000;

/**
 * Finds a livekit-server for this machine, or downloads or builds one.
 *
 * The order: the binary that the user names, the one inside the executable, one on PATH that is at
 * least as new as `LIVEKIT_VERSION`, `$DATA_DIR/bin`, the caches, the official release, `go install`.
 *
 * @param options `get` false: only search this machine, and return undefined if there is none
 * @returns the path of the executable
 * @throws Failure that says what was tried and what can be done
 */
export async function findLiveKitServer(options: FindOptions): Promise<string>;
export async function findLiveKitServer(
  options: FindOptions & { get: boolean },
): Promise<string | undefined>;
export async function findLiveKitServer(
  options: FindOptions & { get?: boolean },
): Promise<string | undefined> {
  if (options.bin) return namedByUser(options.bin);
  const installDir = options.installDir ?? join(options.dataDir, "bin");
  if (options.embedded) return options.embedded();
  const found = await findInstalled(options, installDir);
  if (found || options.get === false) return found;
  await mkdir(installDir, { recursive: true });
  const { signal, onProgress = (message) => options.logger.info(message) } = options;
  await using _lock = await lock(join(installDir, "livekit-server.lock"), {
    signal,
    onWait: () => onProgress("waiting for another process to install livekit-server"),
  });
  return (
    (await findInstalled(options, installDir)) ?? (await install(options, installDir, onProgress))
  );
}

async function namedByUser(bin: string): Promise<string> {
  const version = await versionOf(bin);
  if (version === undefined) {
    throw new Failure(
      "invalid",
      `LIVEKIT_SERVER_BIN=${JSON.stringify(bin)} is not a livekit-server that runs here`,
    );
  }
  return bin;
}

async function findInstalled(
  options: FindOptions,
  installDir: string,
): Promise<string | undefined> {
  const onPath = Bun.which("livekit-server", { PATH: options.env["PATH"] ?? "" });
  if (onPath) {
    const version = await versionOf(onPath);
    if (version !== undefined && isRecentEnough(version)) return onPath;
    options.logger.debug({ path: onPath, version }, "the livekit-server on PATH is not used");
  }
  const folders = [join(options.dataDir, "bin"), ...(options.cacheDirs ?? []), installDir];
  for (const folder of new Set(folders)) {
    const path = join(folder, EXECUTABLE);
    if ((await versionOf(path)) === LIVEKIT_VERSION) return path;
  }
  return undefined;
}

/** Downloads or builds the binary. The caller holds the folder's lock. */
async function install(
  options: FindOptions,
  installDir: string,
  onProgress: (message: string) => void,
): Promise<string> {
  const target = join(installDir, EXECUTABLE);
  await using work = await workFolder(installDir);
  const problems: string[] = [];
  const methods = [
    async () => {
      const { releasesUrl = RELEASES_URL, signal, stallMs } = options;
      const { asset = releaseAsset(process.platform, process.arch) } = options;
      const folder = work.path;
      return releaseBinary({ asset, releasesUrl, folder, signal, stallMs, onProgress });
    },
    async () => {
      const { env, signal } = options;
      return goInstall({ folder: work.path, env, signal, onProgress });
    },
  ];
  for (const method of methods) {
    try {
      const binary = await method();
      await chmod(binary, 0o700);
      const version = await versionOf(binary);
      if (version !== LIVEKIT_VERSION) {
        const found = version === undefined ? "does not run" : `has version ${version}`;
        throw new Error(`the new binary ${found}`);
      }
      return await moveInto(binary, target);
    } catch (error) {
      options.signal?.throwIfAborted();
      options.logger.debug({ err: error }, "livekit-server could not be installed this way");
      problems.push(messageOf(error));
    }
  }
  throw unavailable(problems);
}

function unavailable(problems: string[]): Failure {
  const how =
    process.platform === "darwin" ? "install it (brew install livekit)" : "install it on PATH";
  return new Failure(
    "unavailable",
    `livekit-server ${LIVEKIT_VERSION} is not installed and could not be obtained: ${problems.join("; ")}. ` +
      `Connect to the internet and try again, ${how}, set LIVEKIT_SERVER_BIN to its path, or set ` +
      "LIVEKIT_URL to use another LiveKit server",
  );
}

/**
 * Creates a temporary folder beside the target, so that a rename can install a file. Such folders
 * of earlier processes are left over from crashes and are removed.
 */
async function workFolder(installDir: string): Promise<AsyncDisposable & { path: string }> {
  for (const name of await readdir(installDir)) {
    if (name.startsWith("tmp-")) await rm(join(installDir, name), { recursive: true, force: true });
  }
  const path = join(installDir, `tmp-${process.pid}-${Date.now()}`);
  await mkdir(path, { mode: 0o700 });
  return {
    path,
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

async function moveInto(binary: string, target: string): Promise<string> {
  await chmod(binary, 0o700);
  try {
    await rename(binary, target);
  } catch (error) {
    // Windows cannot replace a running executable; one of the right version is as good.
    if ((await versionOf(target)) !== LIVEKIT_VERSION) throw error;
    await rm(binary, { force: true });
  }
  return target;
}

/** @returns the version of a livekit-server; undefined when it does not run or is another program */
async function versionOf(binary: string): Promise<string | undefined> {
  try {
    const child = Bun.spawn([binary, "--version"], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "ignore",
      env: {},
      timeout: VERSION_TIMEOUT_MS,
      killSignal: "SIGKILL",
    });
    const output = await new Response(child.stdout).text();
    await child.exited;
    return /livekit-server version (\d+\.\d+\.\d+)/.exec(output)?.[1];
  } catch {
    return undefined;
  }
}

/** Whether it has the same major version as ours and is not older. */
function isRecentEnough(version: string): boolean {
  const ours = LIVEKIT_VERSION.split(".").map(Number);
  const theirs = version.split(".").map(Number);
  if (ours[0] !== theirs[0]) return false;
  return Bun.semver.order(version, LIVEKIT_VERSION) >= 0;
}
