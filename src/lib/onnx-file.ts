import { closeSync, fstatSync, openSync, readSync } from "node:fs";

export interface OnnxFile {
  /** Whether the file is a protobuf message that ends where the file ends. */
  complete: boolean;
  /** The model's metadata (`metadata_props`). */
  properties: ReadonlyMap<string, string>;
}

/** Field numbers in ONNX's ModelProto, and in the StringStringEntryProto of its metadata. */
const METADATA_PROPS = 14;
const KEY = 1;
const VALUE = 2;
const LENGTH_DELIMITED = 2;
/** Longer properties are not read; the longest known ones are lists of voices. */
const MAX_PROPERTY_BYTES = 64 * 1024;
/** The most bytes of a field's tag and length: two varints. */
const MAX_HEAD_BYTES = 20;

/**
 * Reads the outline and the metadata of an .onnx file but not its weights. The file is a protobuf
 * message, of which the outermost fields suffice
 * (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). A file in another format counts as not
 * complete.
 *
 * @throws Error of the file system
 */
export function readOnnxFile(path: string): OnnxFile {
  const file = openSync(path, "r");
  try {
    return readOutline(file, fstatSync(file).size);
  } finally {
    closeSync(file);
  }
}

function readOutline(file: number, size: number): OnnxFile {
  const properties = new Map<string, string>();
  const read = (at: number, length: number) => {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, size - at)));
    readSync(file, bytes, 0, bytes.length, at);
    return bytes;
  };
  let at = 0;
  while (at < size) {
    const field = headOf(read(at, MAX_HEAD_BYTES));
    if (!field) return { complete: false, properties };
    const body = at + field.headBytes;
    if (field.number === METADATA_PROPS && field.length <= MAX_PROPERTY_BYTES) {
      const { key, value } = pairOf(read(body, field.length));
      properties.set(key, value);
    }
    at = body + field.length;
  }
  return { complete: size > 0 && at === size, properties };
}

interface Field {
  number: number;
  headBytes: number;
  /** Bytes of the field's value, which follow the head. */
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

/** A varint has seven bits a byte, lowest first; the high bit says that more bytes follow. */
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
    const field = headOf(bytes.subarray(at, at + MAX_HEAD_BYTES));
    if (!field) break;
    const body = at + field.headBytes;
    const text = new TextDecoder().decode(bytes.subarray(body, body + field.length));
    if (field.number === KEY) pair.key = text;
    if (field.number === VALUE) pair.value = text;
    at = body + field.length;
  }
  return pair;
}

/** The bytes to append to an .onnx file to give it these properties: protobuf allows that. */
export function onnxMetadata(properties: Readonly<Record<string, string>>): Uint8Array {
  const entries = Object.entries(properties).map(([key, value]) => {
    const pair = Buffer.concat([field(KEY, Buffer.from(key)), field(VALUE, Buffer.from(value))]);
    return field(METADATA_PROPS, pair);
  });
  return Buffer.concat(entries);
}

/** Encodes a protobuf field whose content is shorter than 128 bytes. */
function field(number: number, content: Uint8Array): Buffer {
  if (content.length > 127) throw new Error("the content is too long for a length of one byte");
  return Buffer.concat([Buffer.from([(number << 3) | LENGTH_DELIMITED, content.length]), content]);
}
