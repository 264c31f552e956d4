import { downloadFile } from "../download/download-file.ts";
import { request, watchdog } from "../download/request.ts";
import { Failure } from "../errors.ts";
import { lock } from "../lib/lock.ts";
import { isLoopback } from "../lib/loopback.ts";
import { type InstalledExecutable, refuse } from "./installed.ts";
import {
  fileFor,
  type ReleaseFile,
  type ReleaseList,
  type ReleaseVariant,
  readReleaseList,
} from "./release-list.ts";

/** A list of hundreds of files would be smaller. */
const MAX_LIST_BYTES = 256 * 1024;
const MAX_SIGNATURE_BYTES = 1024;

export interface ReleaseSource {
  /** Address of the list; its signature has the same one and `.sig`. */
  url: string;
  /** The public key in PEM form. */
  key: string;
}

/** Downloads the release list. @throws Failure when it cannot be had or is not to be believed */
export async function newestRelease(
  { url, key }: ReleaseSource,
  now: () => number = Date.now,
): Promise<ReleaseList> {
  requireHttps(url);
  const bytes = await read(url, MAX_LIST_BYTES);
  const signature = await read(`${url}.sig`, MAX_SIGNATURE_BYTES);
  return readReleaseList(bytes, signature, key, now());
}

async function read(url: string, limit: number): Promise<Uint8Array> {
  using watch = watchdog({});
  const response = await request(url, watch);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    watch.keepAlive();
    size += chunk.byteLength;
    if (size > limit)
      throw new Failure("unavailable", `${url} is no release list: it is too large`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Signatures and hashes protect the files; HTTPS keeps others from seeing and withholding them. */
function requireHttps(url: string): void {
  const { protocol, hostname } = new URL(url);
  if (protocol === "https:" || (protocol === "http:" && isLoopback(hostname))) return;
  throw new Failure("invalid", `${url} is not an https:// address`);
}

export interface Installation {
  executable: InstalledExecutable;
  /** Such as `linux-x64`. */
  platform: string;
  variant: ReleaseVariant;
}

/**
 * Downloads a release, verifies it, and replaces the executable by it.
 *
 * @param onProgress bytes so far, and in total
 * @throws Failure with nothing changed
 */
export async function install(
  release: ReleaseList,
  from: string,
  { executable, platform, variant }: Installation,
  onProgress: (received: number, total: number) => void,
): Promise<ReleaseFile> {
  const file = fileFor(release, platform, variant);
  const url = new URL(file.url, from).href;
  requireHttps(url);
  await using _ = await lock(`${executable.path}.updating`).catch((error) =>
    refuse(error, executable.path),
  );
  await downloadFile({
    url,
    to: executable.next,
    sha256: file.sha256,
    bytes: file.size,
    onProgress: (received) => onProgress(received, file.size),
  });
  await executable.replace(release.version);
  return file;
}
