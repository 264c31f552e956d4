import { join } from "node:path";
import { downloadFile } from "../download/download-file.ts";
import { downloadText } from "../download/request.ts";
import { Failure } from "../errors.ts";
import { readFromArchive } from "../lib/archive.ts";
import { throttled } from "../lib/throttled.ts";

/** The version of livekit-server that Parley is tested with. */
export const LIVEKIT_VERSION = "1.13.5";
export const RELEASES_URL = "https://github.com/livekit/livekit/releases/download";

const ARCHITECTURES: Partial<Record<string, string>> = {
  x64: "amd64",
  arm64: "arm64",
  arm: "armv7",
};

export interface ReleaseAsset {
  archive: string;
  /** The executable's name inside the archive. */
  binary: string;
}

/** @returns the official archive for a platform; undefined if none is published, as for macOS */
export function releaseAsset(platform: string, arch: string): ReleaseAsset | undefined {
  const architecture = ARCHITECTURES[arch];
  if (architecture === undefined) return undefined;
  const name = `livekit_${LIVEKIT_VERSION}`;
  if (platform === "linux") {
    return { archive: `${name}_linux_${architecture}.tar.gz`, binary: "livekit-server" };
  }
  if (platform === "win32") {
    return { archive: `${name}_windows_${architecture}.zip`, binary: "livekit-server.exe" };
  }
  return undefined;
}

export interface ReleaseOptions {
  asset: ReleaseAsset | undefined;
  releasesUrl: string;
  /** An empty folder for the archive and the binary. */
  folder: string;
  signal?: AbortSignal | undefined;
  stallMs?: number | undefined;
  onProgress: (message: string) => void;
}

/** Downloads the official binary and verifies its archive. @returns its path inside `folder` */
export async function releaseBinary(options: ReleaseOptions): Promise<string> {
  const { asset, releasesUrl, folder, signal, stallMs } = options;
  if (!asset) {
    throw new Failure("unavailable", "LiveKit publishes no binary for this platform");
  }
  const base = `${releasesUrl}/v${LIVEKIT_VERSION}`;
  const checksums = await downloadText(`${base}/checksums.txt`, { signal, stallMs });
  const sha256 = checksumOf(checksums, asset.archive);
  const archive = join(folder, asset.archive);
  const report = throttled(options.onProgress);
  await downloadFile({
    url: `${base}/${asset.archive}`,
    to: archive,
    sha256,
    signal,
    stallMs,
    onProgress: (received, total) =>
      report(() => `downloading livekit-server ${LIVEKIT_VERSION}: ${progress(received, total)}`),
  });
  const binary = join(folder, asset.binary);
  await Bun.write(binary, await readFromArchive(archive, asset.binary));
  return binary;
}

/** Finds a file's SHA-256 in a list of `hash  name` lines. */
function checksumOf(checksums: string, name: string): string {
  for (const line of checksums.split("\n")) {
    const [hash, file] = line.trim().split(/\s+\*?/);
    if (file === name && hash && /^[0-9a-f]{64}$/i.test(hash)) return hash.toLowerCase();
  }
  throw new Failure("unavailable", `the release's checksums.txt does not list ${name}`);
}

function progress(received: number, total: number | undefined): string {
  const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);
  return total === undefined
    ? `${megabytes(received)} MB`
    : `${megabytes(received)} of ${megabytes(total)} MB`;
}
