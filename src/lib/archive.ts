import { inflateRawSync } from "node:zlib";
import { Failure } from "../errors.ts";

/**
 * Reads one file out of a `.tar.gz` or `.zip` archive.
 *
 * @param name the file's path inside the archive
 * @throws Failure when the archive is damaged or has no such file
 */
export async function readFromArchive(archive: string, name: string): Promise<Uint8Array> {
  const bytes = await Bun.file(archive).bytes();
  const found = archive.endsWith(".zip") ? fromZip(bytes, name) : await fromTar(bytes, name);
  if (!found) throw new Failure("unavailable", `${archive} has no ${name}`);
  return found;
}

async function fromTar(bytes: Uint8Array<ArrayBuffer>, name: string) {
  const files = await new Bun.Archive(bytes).files();
  return files.get(name)?.bytes();
}

const END_OF_DIRECTORY = 0x06054b50;
const END_OF_DIRECTORY_SIZE = 22;
const DIRECTORY_ENTRY = 0x02014b50;
const STORED = 0;
const DEFLATED = 8;

/**
 * Supports what release archives use: no ZIP64, no encryption.
 * See https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, sections 4.3.7, 4.3.12, 4.3.16.
 */
function fromZip(bytes: Uint8Array<ArrayBuffer>, name: string): Uint8Array | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // Only a comment of up to 64 KiB may follow the end record.
  let end = bytes.length - END_OF_DIRECTORY_SIZE;
  while (end > 0 && view.getUint32(end, true) !== END_OF_DIRECTORY) end--;
  if (end <= 0) throw new Failure("unavailable", "not a zip archive");
  let at = view.getUint32(end + 16, true);
  for (let left = view.getUint16(end + 10, true); left > 0; left--) {
    if (view.getUint32(at, true) !== DIRECTORY_ENTRY) break;
    const nameLength = view.getUint16(at + 28, true);
    const entry = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength));
    if (entry === name) return unpack(bytes, view, at);
    at += 46 + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return undefined;
}

function unpack(bytes: Uint8Array<ArrayBuffer>, view: DataView, entry: number): Uint8Array {
  const method = view.getUint16(entry + 10, true);
  const size = view.getUint32(entry + 20, true);
  const header = view.getUint32(entry + 42, true);
  const start = header + 30 + view.getUint16(header + 26, true) + view.getUint16(header + 28, true);
  const data = bytes.subarray(start, start + size);
  if (method === STORED) return data;
  if (method === DEFLATED) return inflateRawSync(data);
  throw new Failure("unavailable", `a zip entry is compressed by an unknown method (${method})`);
}
