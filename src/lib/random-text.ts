/** A secret of so many random bytes, as text. Without `node:crypto`, whose import a start can do without. */
export function randomText(bytes: number, encoding: "hex" | "base64url"): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString(encoding);
}
