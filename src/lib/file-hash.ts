import { createReadStream } from "node:fs";

/** SHA-256 of a file in hexadecimal digits. */
export async function fileHash(path: string): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  for await (const chunk of createReadStream(path)) hasher.update(chunk);
  return hasher.digest("hex");
}
