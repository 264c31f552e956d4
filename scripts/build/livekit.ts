import { chmodSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { GO_FLAGS } from "../../src/livekit/go-install.ts";
import {
  LIVEKIT_VERSION,
  RELEASES_URL,
  releaseAsset,
  releaseBinary,
} from "../../src/livekit/release.ts";
import { userCache } from "../paths.ts";
import { say } from "../say.ts";
import type { Target } from "./targets.ts";

const GO_PACKAGE = `github.com/livekit/livekit-server/cmd/server@v${LIVEKIT_VERSION}`;
const GO_ARCH: Record<Target["arch"], string> = { x64: "amd64", arm64: "arm64" };

/**
 * Builds the livekit-server for an executable: static, stripped and without paths of this machine.
 * Without Go, it downloads the official one. Building takes minutes, so checkouts share the result.
 *
 * @returns its path
 * @throws Error if it can neither be built nor downloaded
 */
export async function strippedLiveKitServer(target: Target): Promise<string> {
  const folder = join(userCache(), `livekit-v${LIVEKIT_VERSION}-${target.name}-stripped`);
  const suffix = target.platform === "win32" ? ".exe" : "";
  const path = join(folder, `livekit-server${suffix}`);
  if (existsSync(path)) return path;
  const go = Bun.which("go");
  mkdirSync(folder, { recursive: true });
  const work = mkdtempSync(join(folder, "tmp-"));
  try {
    const built = go
      ? `${await goInstall(go, target, work)}${suffix}`
      : await download(target, work);
    chmodSync(built, 0o700);
    renameSync(built, path);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return path;
}

function download({ platform, arch }: Target, folder: string): Promise<string> {
  const asset = releaseAsset(platform, arch);
  return releaseBinary({ asset, releasesUrl: RELEASES_URL, folder, onProgress: say });
}

async function goInstall(go: string, target: Target, work: string): Promise<string> {
  say(`building livekit-server ${LIVEKIT_VERSION} for ${target.name}, which takes several minutes`);
  // Go refuses GOBIN for other platforms, so the result comes from a temporary GOPATH. The module
  // cache stays the usual one.
  const modules = await Bun.$`${go} env GOMODCACHE`.text();
  const goos = target.platform === "win32" ? "windows" : target.platform;
  const goarch = GO_ARCH[target.arch];
  const child = Bun.spawn([go, "install", ...GO_FLAGS, GO_PACKAGE], {
    cwd: work,
    stdio: ["ignore", "ignore", "pipe"],
    env: {
      ...process.env,
      CGO_ENABLED: "0",
      GOOS: goos,
      GOARCH: goarch,
      GOPATH: work,
      GOMODCACHE: modules.trim(),
      GOBIN: "",
    },
  });
  const errors = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(`go install failed: ${errors.trim()}`);
  const native = join(work, "bin", "server");
  const crossCompiled = join(work, "bin", `${goos}_${goarch}`, "server");
  return existsSync(crossCompiled) || existsSync(`${crossCompiled}.exe`) ? crossCompiled : native;
}
