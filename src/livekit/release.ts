import { join } from "node:path";
import { downloadFile } from "../download/download-file.ts";
import { Failure } from "../errors.ts";
import { readFromArchive } from "../lib/archive.ts";
import { throttled } from "../lib/throttled.ts";

/** The version of livekit-server that Parley is tested with. */
export const LIVEKIT_VERSION = "1.13.5";
export const RELEASES_URL = "https://github.com/livekit/livekit/releases/download";

export interface ReleaseAsset {
  archive: string;
  /** The executable's name inside the archive. */
  binary: string;
  /** Of the archive. */
  sha256: string;
}

/**
 * The archives of `LIVEKIT_VERSION` and their hashes, as its `checksums.txt` lists them. They are
 * here, since a forged release would bring a list of its own. A new version needs new hashes.
 */
const ASSETS: Partial<Record<string, [file: string, sha256: string]>> = {
  "linux-x64": [
    "linux_amd64.tar.gz",
    "c020fac437b7cc9b776eef1ad5ea8af77be9acfa07602eca20a3a44930dfbc70",
  ],
  "linux-arm64": [
    "linux_arm64.tar.gz",
    "332015305518765fe05bad74fc3a9d9583e635e7dd130de3c4fc563d69c550f3",
  ],
  "win32-x64": [
    "windows_amd64.zip",
    "3ec7eaa76ef64063bf21f78364733703e0969612cb92ffd60661ed45fa4a8906",
  ],
  "win32-arm64": [
    "windows_arm64.zip",
    "9a0facddf31346f22854a1beaeaaa2c623c165078c54765115b249d771eb0b66",
  ],
};

/** @returns the official archive for a platform; undefined if none is published, as for macOS */
export function releaseAsset(platform: string, arch: string): ReleaseAsset | undefined {
  const [file, sha256] = ASSETS[`${platform}-${arch}`] ?? [];
  if (file === undefined || sha256 === undefined) return undefined;
  const binary = platform === "win32" ? "livekit-server.exe" : "livekit-server";
  return { archive: `livekit_${LIVEKIT_VERSION}_${file}`, binary, sha256 };
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

/**
 * Downloads the official binary and compares its archive with the pinned hash.
 * @returns its path inside `folder`
 */
export async function releaseBinary(options: ReleaseOptions): Promise<string> {
  const { asset, releasesUrl, folder, signal, stallMs } = options;
  if (!asset) {
    throw new Failure("unavailable", "LiveKit publishes no binary for this platform");
  }
  const base = `${releasesUrl}/v${LIVEKIT_VERSION}`;
  const archive = join(folder, asset.archive);
  const report = throttled(options.onProgress);
  await downloadFile({
    url: `${base}/${asset.archive}`,
    to: archive,
    sha256: asset.sha256,
    signal,
    stallMs,
    onProgress: (received, total) =>
      report(() => `downloading livekit-server ${LIVEKIT_VERSION}: ${progress(received, total)}`),
  });
  const binary = join(folder, asset.binary);
  await Bun.write(binary, await readFromArchive(archive, asset.binary));
  return binary;
}

function progress(received: number, total: number | undefined): string {
  const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);
  return total === undefined
    ? `${megabytes(received)} MB`
    : `${megabytes(received)} of ${megabytes(total)} MB`;
}
