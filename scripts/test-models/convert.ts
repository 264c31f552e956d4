/**
 * Converts Moonshine's tokenizer.bin to lines of `BASE64 ID`. The file contains, for each token, its
 * length (one byte, or two if the high bit of the first is set) and its bytes.
 */
export function moonshineTokens(tokenizer: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < tokenizer.length; ) {
    let length = tokenizer[at++] ?? 0;
    if (length >= 128) length = length - 128 + (tokenizer[at++] ?? 0) * 128;
    const token = tokenizer.subarray(at, at + length);
    lines.push(`${Buffer.from(token).toString("base64")} ${lines.length}\n`);
    at += length;
  }
  return lines.join("");
}
