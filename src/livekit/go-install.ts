import { join } from "node:path";
import { Failure } from "../errors.ts";
import { linesOf } from "../lib/child-output.ts";
import { throttled } from "../lib/throttled.ts";
import { LIVEKIT_VERSION } from "./release.ts";

const GO_PACKAGE = `github.com/livekit/livekit-server/cmd/server@v${LIVEKIT_VERSION}`;
/** Two cores take two to three minutes; a slow connection or a small board takes longer. */
const BUILD_TIMEOUT_MS = 20 * 60_000;
const PROGRESS_INTERVAL_MS = 10_000;
const LAST_LINES = 3;

export interface GoInstallOptions {
  /** The folder for the binary. */
  folder: string;
  env: Readonly<Record<string, string | undefined>>;
  signal?: AbortSignal | undefined;
  onProgress: (message: string) => void;
}

/** As LiveKit's own releases: static, without symbols and without paths of this machine. */
export const GO_FLAGS = ["-trimpath", "-ldflags=-s -w"];

/** Builds livekit-server from its published Go module. @returns the path of the binary */
export async function goInstall(options: GoInstallOptions): Promise<string> {
  const { folder, env, signal, onProgress } = options;
  const go = Bun.which("go", { PATH: env["PATH"] ?? "" });
  if (!go) throw new Failure("unavailable", "Go, which could build it, is not installed");
  signal?.throwIfAborted();
  const child = Bun.spawn([go, "install", "-v", ...GO_FLAGS, GO_PACKAGE], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
    env: { ...env, CGO_ENABLED: "0", GOBIN: folder },
    timeout: BUILD_TIMEOUT_MS,
    // Its own process group, so that its compilers can be killed with it.
    detached: true,
  });
  const stop = () => killGroup(child.pid);
  signal?.addEventListener("abort", stop);
  try {
    const lastLines = await followBuild(child.stderr, onProgress);
    if ((await child.exited) !== 0) {
      signal?.throwIfAborted();
      throw new Failure("unavailable", `go install failed: ${lastLines.join(" ")}`);
    }
  } finally {
    signal?.removeEventListener("abort", stop);
  }
  return join(folder, process.platform === "win32" ? "server.exe" : "server");
}

/**
 * Reports progress: `go install -v` prints a line for each module that it fetches and each package
 * that it compiles. @returns the last lines, which say why a build failed
 */
async function followBuild(
  stderr: ReadableStream<Uint8Array>,
  onProgress: (message: string) => void,
): Promise<string[]> {
  const report = throttled(onProgress, PROGRESS_INTERVAL_MS);
  const startedAt = performance.now();
  let lastLines: string[] = [];
  let packages = 0;
  for await (const line of linesOf(stderr)) {
    if (!line.startsWith("go: ")) packages += 1;
    if (line !== "") lastLines = [...lastLines, line].slice(-LAST_LINES);
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    report(
      () =>
        `building livekit-server ${LIVEKIT_VERSION} with Go, which takes some minutes the first ` +
        `time: ${packages} packages done, ${seconds} s`,
    );
  }
  return lastLines;
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has exited, or this is Windows, which has no process groups.
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has exited.
    }
  }
}
