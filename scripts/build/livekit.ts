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
 * The livekit-server that goes into an executable: static, stripped and without paths of the
 * machine that built it; without Go, the official one. Getting it takes minutes, so checkouts share
 * the result.
 *
 * @throws Error when it can neither be built nor fetched
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
      : await fetched(target, work);
    chmodSync(built, 0o700);
    renameSync(built, path);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return path;
}

function fetched({ platform, arch }: Target, folder: string): Promise<string> {
  const asset = releaseAsset(platform, arch);
  return releaseBinary({ asset, releasesUrl: RELEASES_URL, folder, onProgress: say });
}

async function goInstall(go: string, target: Target, work: string): Promise<string> {
  say(`building livekit-server ${LIVEKIT_VERSION} for ${target.name}, which takes some minutes`);
  // GOBIN is refused for other platforms, so the result is taken from a GOPATH of its own; the
  // modules are those that are here already.
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
  const own = join(work, "bin", "server");
  const crossed = join(work, "bin", `${goos}_${goarch}`, "server");
  return existsSync(crossed) || existsSync(`${crossed}.exe`) ? crossed : own;
}
