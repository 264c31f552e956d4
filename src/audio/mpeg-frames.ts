/** An MPEG audio or AAC frame: what it is, and its size in bytes. */
interface Frame {
  kind: "mpeg" | "aac";
  size: number;
  /** Equal in all frames of one stream. */
  stream: number;
}

/** Bit rates in kbit/s by MPEG version (1, or 2 and 2.5), layer and index (ISO 11172-3, 13818-3). */
const BIT_RATES: Readonly<Record<string, readonly number[]>> = {
  "1/1": [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
  "1/2": [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
  "1/3": [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
  "2/1": [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
  "2/2": [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
  "2/3": [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
};
const RATES = [44_100, 48_000, 32_000];

/**
 * The frames that follow each other from `at` on, up to `count` of them.
 *
 * @returns their kind; "more" if the bytes end before that; undefined if something else is there
 */
export function framesAt(
  bytes: Uint8Array,
  at: number,
  count: number,
): Frame["kind"] | "more" | undefined {
  let first: Frame | undefined;
  for (let found = 0, position = at; found < count; found++) {
    if (position + 7 > bytes.length) return "more";
    const frame = frameAt(bytes, position);
    if (!frame || (first && frame.stream !== first.stream)) return undefined;
    first ??= frame;
    position += frame.size;
  }
  return first?.kind;
}

function frameAt(bytes: Uint8Array, at: number): Frame | undefined {
  const [sync = 0, head = 0, rates = 0, more = 0, size = 0, rest = 0] = bytes.subarray(at, at + 6);
  if (sync !== 0xff || head < 0xe0) return undefined;
  const layer = 4 - ((head >> 1) & 3);
  if (layer === 4) {
    // AAC in ADTS (ISO 13818-7) has the sync word of MPEG and layer 0.
    if (head < 0xf0) return undefined;
    const bytesOfFrame = ((more & 3) << 11) | (size << 3) | (rest >> 5);
    if (bytesOfFrame < 7 || (rates & 0x3c) > 0x30) return undefined;
    return { kind: "aac", size: bytesOfFrame, stream: (head << 8) | (rates & 0xfc) };
  }
  const version = (head >> 3) & 3;
  const rate = RATES[(rates >> 2) & 3];
  const bitRate = BIT_RATES[`${version === 3 ? 1 : 2}/${layer}`]?.[(rates >> 4) - 1];
  if (version === 1 || rate === undefined || bitRate === undefined) return undefined;
  const hertz = version === 3 ? rate : version === 2 ? rate / 2 : rate / 4;
  const padding = (rates >> 1) & 1;
  const samples = layer === 1 ? 384 : layer === 3 && version !== 3 ? 576 : 1152;
  const slot = layer === 1 ? 4 : 1;
  const slots = Math.floor((samples * bitRate * 125) / hertz / slot) + padding;
  return { kind: "mpeg", size: slots * slot, stream: ((head & 0xfe) << 8) | (rates & 0x0c) };
}
