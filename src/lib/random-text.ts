/** A secret of `bytes` random bytes, as text. It avoids `node:crypto`, whose import delays a start. */
export function randomText(bytes: number, encoding: "hex" | "base64url"): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString(encoding);
}
