import { closeSync, openSync, writeSync } from "node:fs";

/** Types of tensors: ggml's number, and the bytes of a block of so many weights. */
export const TENSOR_TYPES = {
  F32: { id: 0, weights: 1, bytes: 4 },
  Q4_0: { id: 2, weights: 32, bytes: 18 },
  Q5_0: { id: 6, weights: 32, bytes: 22 },
  Q8_0: { id: 8, weights: 32, bytes: 34 },
  Q4_K: { id: 12, weights: 256, bytes: 144 },
  Q6_K: { id: 14, weights: 256, bytes: 210 },
} as const;
export type TensorType = keyof typeof TENSOR_TYPES;

export interface Tensor {
  name: string;
  /** The length of a row first. */
  dimensions: readonly number[];
  type: TensorType;
  /** Gives its bytes piece by piece, so that a file may be larger than the memory. */
  data: () => Iterable<Uint8Array>;
}

/** A value of a file's metadata; `int` and `float` are written in 32 bits. */
export type Value =
  | { int: number }
  | { float: number }
  | { bool: boolean }
  | { text: string }
  | { texts: readonly string[] }
  | { ints: readonly number[] };

const ALIGNMENT = 32;
const VERSION = 3;
const UINT32 = 4;
const INT32 = 5;
const FLOAT32 = 6;
const BOOL = 7;
const STRING = 8;
const ARRAY = 9;

/** The size of a tensor, in bytes. */
export function tensorBytes({ dimensions, type }: Omit<Tensor, "data">): number {
  const { weights, bytes } = TENSOR_TYPES[type];
  return (dimensions.reduce((product, length) => product * length, 1) / weights) * bytes;
}

/**
 * Writes a GGUF file (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
 * @throws Error of the file system
 */
export function writeGguf(
  path: string,
  metadata: Readonly<Record<string, Value>>,
  tensors: readonly Tensor[],
): void {
  const head = new Bytes();
  head.raw(Buffer.from("GGUF"));
  head.uint32(VERSION);
  head.uint64(tensors.length);
  head.uint64(Object.keys(metadata).length);
  for (const [key, value] of Object.entries(metadata)) {
    head.text(key);
    writeValue(head, value);
  }
  let offset = 0;
  for (const tensor of tensors) {
    head.text(tensor.name);
    head.uint32(tensor.dimensions.length);
    for (const length of tensor.dimensions) head.uint64(length);
    head.uint32(TENSOR_TYPES[tensor.type].id);
    head.uint64(offset);
    offset += aligned(tensorBytes(tensor));
  }
  const file = openSync(path, "w");
  try {
    writePadded(file, head.all());
    for (const tensor of tensors) writePadded(file, ...tensor.data());
  } finally {
    closeSync(file);
  }
}

function writeValue(to: Bytes, value: Value): void {
  if ("int" in value) to.uint32(UINT32).uint32(value.int);
  else if ("float" in value) to.uint32(FLOAT32).float32(value.float);
  else if ("bool" in value) to.uint32(BOOL).raw(Buffer.from([value.bool ? 1 : 0]));
  else if ("text" in value) to.uint32(STRING).text(value.text);
  else if ("texts" in value) {
    to.uint32(ARRAY).uint32(STRING).uint64(value.texts.length);
    for (const text of value.texts) to.text(text);
  } else {
    to.uint32(ARRAY).uint32(INT32).uint64(value.ints.length);
    for (const int of value.ints) to.uint32(int);
  }
}

function writePadded(file: number, ...pieces: Uint8Array[]): void {
  let size = 0;
  for (const piece of pieces) {
    writeSync(file, piece);
    size += piece.length;
  }
  const missing = aligned(size) - size;
  if (missing > 0) writeSync(file, new Uint8Array(missing));
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

/** Little-endian values one after the other. */
class Bytes {
  readonly #pieces: Buffer[] = [];

  raw(bytes: Buffer): this {
    this.#pieces.push(bytes);
    return this;
  }

  uint32(value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return this.raw(bytes);
  }

  uint64(value: number): this {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(value));
    return this.raw(bytes);
  }

  float32(value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeFloatLE(value);
    return this.raw(bytes);
  }

  text(text: string): this {
    const bytes = Buffer.from(text);
    return this.uint64(bytes.length).raw(bytes);
  }

  all(): Buffer {
    return Buffer.concat(this.#pieces);
  }
}
