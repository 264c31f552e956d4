import { open } from "node:fs/promises";

export interface OnnxFile {
  /** Whether the file ends where its content says. */
  whole: boolean;
  /** The properties that those who made the model wrote into it. */
  properties: ReadonlyMap<string, string>;
}

/** Fields of ONNX's ModelProto and of the pairs in it. */
const METADATA_PROPS = 14;
const KEY = 1;
const VALUE = 2;
/** Longer properties are not read; the longest known are lists of voices. */
const LONGEST_PROPERTY = 64 * 1024;
/** A tag and a length, at most. */
const LONGEST_HEAD = 20;

/**
 * Reads the outline of an .onnx file without its weights: a protobuf message, of which only the
 * outermost fields and the properties matter (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
 * What is no such message is not whole.
 */
export async function readOnnxFile(path: string): Promise<OnnxFile> {
  await using file = await open(path, "r");
  const { size } = await file.stat();
  const properties = new Map<string, string>();
  const read = async (at: number, length: number) => {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, size - at)));
    await file.read(bytes, 0, bytes.length, at);
    return bytes;
  };
  let at = 0;
  while (at < size) {
    const field = headOf(await read(at, LONGEST_HEAD));
    if (!field) return { whole: false, properties };
    const body = at + field.headBytes;
    if (field.number === METADATA_PROPS && field.length <= LONGEST_PROPERTY) {
      const { key, value } = pairOf(await read(body, field.length));
      properties.set(key, value);
    }
    at = body + field.length;
  }
  return { whole: size > 0 && at === size, properties };
}

interface Field {
  number: number;
  headBytes: number;
  /** Of what follows the head. */
  length: number;
}

const WIRE_VARINT = 0;
const WIRE_FIXED64 = 1;
const WIRE_BYTES = 2;
const WIRE_FIXED32 = 5;

function headOf(bytes: Uint8Array): Field | undefined {
  const tag = varintAt(bytes, 0);
  if (!tag) return undefined;
  const number = Math.floor(tag.value / 8);
  const wire = tag.value % 8;
  if (number === 0) return undefined;
  if (wire === WIRE_FIXED64) return { number, headBytes: tag.end, length: 8 };
  if (wire === WIRE_FIXED32) return { number, headBytes: tag.end, length: 4 };
  const next = varintAt(bytes, tag.end);
  if (!next) return undefined;
  if (wire === WIRE_VARINT) return { number, headBytes: next.end, length: 0 };
  return wire === WIRE_BYTES ? { number, headBytes: next.end, length: next.value } : undefined;
}

/** Seven bits a byte, the lowest first; the high bit says that more follow. */
function varintAt(bytes: Uint8Array, at: number): { value: number; end: number } | undefined {
  let value = 0;
  for (let i = at, factor = 1; i < bytes.length && i < at + 10; i++, factor *= 128) {
    const byte = bytes[i] ?? 0;
    value += (byte % 128) * factor;
    if (byte < 128) return { value, end: i + 1 };
  }
  return undefined;
}

function pairOf(bytes: Uint8Array): { key: string; value: string } {
  const pair = { key: "", value: "" };
  for (let at = 0; at < bytes.length; ) {
    const field = headOf(bytes.subarray(at, at + LONGEST_HEAD));
    if (!field) break;
    const body = at + field.headBytes;
    const text = new TextDecoder().decode(bytes.subarray(body, body + field.length));
    if (field.number === KEY) pair.key = text;
    if (field.number === VALUE) pair.value = text;
    at = body + field.length;
  }
  return pair;
}
