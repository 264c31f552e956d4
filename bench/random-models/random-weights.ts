import { TENSOR_TYPES, type TensorType } from "./gguf.ts";

/** The bits of 16-bit floats, by which a block's numbers are multiplied: its weights get about ±0.03. */
const SCALES: Record<Exclude<TensorType, "F32">, readonly [at: number, bits: number][]> = {
  Q4_0: [[0, 0x1c00]],
  Q5_0: [[0, 0x1800]],
  Q8_0: [[0, 0x0c00]],
  // The second one is that of the minimum, so that the mean is about 0.
  Q4_K: [
    [0, 0x0800],
    [2, 0x1380],
  ],
  Q6_K: [[208, 0x0100]],
};
/** So many random blocks are repeated; the kernels do not notice. */
const BLOCKS = 4096;
const ROWS = 256;
const WRITE_BYTES = 4 * 2 ** 20;

/** Random blocks of a quantised type: valid, and so small that no product overflows. */
function randomBlocks(type: Exclude<TensorType, "F32">): Uint8Array {
  const { bytes } = TENSOR_TYPES[type];
  const blocks = Buffer.alloc(BLOCKS * bytes);
  for (let at = 0; at < blocks.length; at += 65_536) {
    crypto.getRandomValues(blocks.subarray(at, Math.min(at + 65_536, blocks.length)));
  }
  for (let block = 0; block < BLOCKS; block++) {
    for (const [at, bits] of SCALES[type]) blocks.writeUInt16LE(bits, block * bytes + at);
  }
  return blocks;
}

/** `size` bytes of random weights, in pieces. */
export function* randomWeights(type: TensorType, size: number): Generator<Uint8Array> {
  if (type === "F32") {
    // Norms and biases; a norm of 1 leaves a vector as long as it is.
    yield new Uint8Array(new Float32Array(size / 4).fill(1).buffer);
    return;
  }
  const blocks = randomBlocks(type);
  const repeated = new Uint8Array(Math.ceil(WRITE_BYTES / blocks.length) * blocks.length);
  for (let at = 0; at < repeated.length; at += blocks.length) repeated.set(blocks, at);
  for (let left = size; left > 0; left -= repeated.length) {
    yield left >= repeated.length ? repeated : repeated.subarray(0, left);
  }
}

/**
 * Random weights of the matrix that has a row for each token, zeros for tokens that are not said: so
 * that what the model says is words, which are the same tokens again when they are read.
 */
export function* tokenWeights(
  type: TensorType,
  rowBytes: number,
  said: readonly boolean[],
): Generator<Uint8Array> {
  const random = Buffer.concat([...randomWeights(type, rowBytes * ROWS)]);
  for (let token = 0; token < said.length; token += ROWS) {
    const rows = Buffer.from(random);
    for (let row = 0; row < ROWS; row++) {
      if (!said[token + row]) rows.fill(0, row * rowBytes, (row + 1) * rowBytes);
    }
    yield rows.subarray(0, Math.min(ROWS, said.length - token) * rowBytes);
  }
}
