import { chmod, mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { Failure, messageOf } from "../errors.ts";
import { lock } from "../lib/lock.ts";
import { goInstall } from "./go-install.ts";
import { LIVEKIT_VERSION, RELEASES_URL, releaseAsset, releaseBinary } from "./release.ts";

export interface FindOptions {
  /** `LIVEKIT_SERVER_BIN`: what the user wants is taken, or the search fails. */
  bin?: string | undefined;
  /** Unpacks the copy inside Parley's own executable, and answers its path. */
  embedded?: (() => Promise<string>) | undefined;
  dataDir: string;
  /** Further folders that may hold the binary, such as caches shared between checkouts. */
  cacheDirs?: readonly string[];
  /** Where a binary is put that had to be fetched or built; `$DATA_DIR/bin` if unset. */
  installDir?: string | undefined;
  /** The surroundings: PATH, and what Go reads. */
  env: Readonly<Record<string, string | undefined>>;
  logger: Pick<Logger, "debug" | "info" | "warn">;
  /** Told in words what takes long, a few times a minute; logged when unset. */
  onProgress?: ((message: string) => void) | undefined;
  signal?: AbortSignal | undefined;
  releasesUrl?: string | undefined;
  /** How long a download may stand still. */
  stallMs?: number | undefined;
}

const EXECUTABLE = process.platform === "win32" ? "livekit-server.exe" : "livekit-server";
const VERSION_TIMEOUT_MS = 10_000;

/**
 * Finds a livekit-server for this machine, or gets one.
 *
 * The order: the one named by the user, the one inside the executable, one on PATH that is no
 * older than ours, `$DATA_DIR/bin`, the caches, the official release, `go install`.
 *
 * @param options `get` false: only what is on this machine already, or undefined
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
  const found = await present(options, installDir);
  if (found || options.get === false) return found;
  await mkdir(installDir, { recursive: true });
  const { signal, onProgress = (message) => options.logger.info(message) } = options;
  await using _lock = await lock(join(installDir, "livekit-server.lock"), {
    signal,
    onWait: () => onProgress("waiting for another process that gets livekit-server"),
  });
  return (await present(options, installDir)) ?? (await install(options, installDir, onProgress));
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

/** What is already on this machine. */
async function present(options: FindOptions, installDir: string): Promise<string | undefined> {
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

/** Fetches or builds the binary; runs under the folder's lock. */
async function install(
  options: FindOptions,
  installDir: string,
  onProgress: (message: string) => void,
): Promise<string> {
  const target = join(installDir, EXECUTABLE);
  await using work = await workFolder(installDir);
  const problems: string[] = [];
  const ways = [
    async () => {
      const { releasesUrl = RELEASES_URL, signal, stallMs } = options;
      const asset = releaseAsset(process.platform, process.arch);
      const folder = work.path;
      return releaseBinary({ asset, releasesUrl, folder, signal, stallMs, onProgress });
    },
    async () => {
      const { env, signal } = options;
      return goInstall({ folder: work.path, env, signal, onProgress });
    },
  ];
  for (const way of ways) {
    try {
      const binary = await way();
      await chmod(binary, 0o700);
      const version = await versionOf(binary);
      if (version !== LIVEKIT_VERSION) throw new Error(`what came does not run (${version})`);
      return await putInPlace(binary, target);
    } catch (error) {
      options.signal?.throwIfAborted();
      options.logger.debug({ err: error }, "a way to get livekit-server failed");
      problems.push(messageOf(error));
    }
  }
  throw notToBeHad(problems);
}

function notToBeHad(problems: string[]): Failure {
  const how =
    process.platform === "darwin" ? "install it (brew install livekit)" : "install it on PATH";
  return new Failure(
    "unavailable",
    `livekit-server ${LIVEKIT_VERSION} is not here and could not be got: ${problems.join("; ")}. ` +
      `Connect to the internet and try again, ${how}, name one by LIVEKIT_SERVER_BIN, or set ` +
      "LIVEKIT_URL to use another LiveKit server",
  );
}

/** A folder beside the target, so that a rename puts a file in place. Older ones are left-overs. */
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

async function putInPlace(binary: string, target: string): Promise<string> {
  await chmod(binary, 0o700);
  try {
    await rename(binary, target);
  } catch (error) {
    // Windows keeps a running executable where it is; a whole one there is as good.
    if ((await versionOf(target)) !== LIVEKIT_VERSION) throw error;
    await rm(binary, { force: true });
  }
  return target;
}

/** @returns the version of a livekit-server, or undefined when it is none or does not run */
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

/** The same major version, and nothing older than what Parley is tested with. */
function isRecentEnough(version: string): boolean {
  const ours = LIVEKIT_VERSION.split(".").map(Number);
  const theirs = version.split(".").map(Number);
  if (ours[0] !== theirs[0]) return false;
  return Bun.semver.order(version, LIVEKIT_VERSION) >= 0;
}
