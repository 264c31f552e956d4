import { createReadStream } from "node:fs";

/** SHA-256 of a file in hexadecimal digits, or of its first `bytes`. */
export async function fileHash(
  path: string,
  bytes: number = Number.POSITIVE_INFINITY,
): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  if (bytes > 0) {
    for await (const chunk of createReadStream(path, { end: bytes - 1 })) hasher.update(chunk);
  }
  return hasher.digest("hex");
}
