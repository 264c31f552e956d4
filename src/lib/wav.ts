/** Mono PCM and its rate in Hz. */
export interface Audio {
  pcm: Int16Array;
  rate: number;
}

const HEADER_BYTES = 44;
/** The size in the header of a stream whose length is not known yet. */
const UNKNOWN_SIZE = 0xffff_ffff;
const FORMAT_PCM = 1;
const FORMAT_FLOAT = 3;
const FORMAT_EXTENSIBLE = 0xfffe;

/** A WAV file (RIFF, 16-bit PCM, mono) of `pcm` at `rate` Hz. */
export function wav(pcm: Int16Array, rate: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEADER_BYTES + pcm.length * 2);
  bytes.set(wavHeader(rate, pcm.length * 2));
  bytes.set(pcmBytes(pcm), HEADER_BYTES);
  return bytes;
}

/**
 * The beginning of a WAV file (RIFF, 16-bit PCM, mono), before its samples.
 *
 * @param dataBytes size of the samples; left out for a stream whose length is not known yet
 */
export function wavHeader(rate: number, dataBytes?: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  const tag = (at: number, text: string) => bytes.set(new TextEncoder().encode(text), at);
  tag(0, "RIFF");
  view.setUint32(4, dataBytes === undefined ? UNKNOWN_SIZE : dataBytes + HEADER_BYTES - 8, true);
  tag(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, FORMAT_PCM, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, rate * 2, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  tag(36, "data");
  view.setUint32(40, dataBytes ?? UNKNOWN_SIZE, true);
  return bytes;
}

/** The bytes of `pcm`, little-endian as on every platform that Parley runs on; not copied. */
export function pcmBytes(pcm: Int16Array): Uint8Array {
  return new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength);
}

/** Little-endian 16-bit samples from bytes; an odd last byte is dropped. */
export function pcmOf(bytes: Uint8Array): Int16Array {
  const even = bytes.byteLength - (bytes.byteLength % 2);
  // Copied, because the memory behind a Buffer is shared and may begin at an odd offset.
  return new Int16Array(new Uint8Array(bytes.subarray(0, even)).buffer);
}

/** Samples from -1 to 1, as models take them. */
export function floatsOf(pcm: Int16Array): Float32Array {
  return Float32Array.from(pcm, (value) => value / 32_768);
}

/** The nearest 16-bit samples; louder ones are clipped. */
export function pcmFrom(samples: Float32Array): Int16Array {
  return Int16Array.from(samples, (value) =>
    Math.max(-32_768, Math.min(32_767, Math.round(value * 32_768))),
  );
}

/**
 * Reads a WAV file of 16-bit PCM or 32-bit float; several channels are averaged to one. A `data`
 * size that is larger than the file (streamed WAVs carry 0xffffffff) means "to the end".
 *
 * @throws Error that says what is wrong when the bytes are not such a file.
 */
export function readWav(bytes: Uint8Array): Audio {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tag = (at: number) => Buffer.from(bytes.subarray(at, at + 4)).toString("latin1");
  if (bytes.byteLength < 12 || tag(0) !== "RIFF" || tag(8) !== "WAVE") {
    throw new Error("not a WAV file: no RIFF/WAVE header");
  }
  let format: Format | undefined;
  for (let at = 12; at + 8 <= bytes.byteLength; ) {
    const size = view.getUint32(at + 4, true);
    const body = at + 8;
    if (tag(at) === "fmt " && body + 16 <= bytes.byteLength) format = readFormat(view, body);
    if (tag(at) === "data") {
      if (format === undefined) throw new Error("WAV file has data before its format");
      const data = bytes.subarray(body, Math.min(body + size, bytes.byteLength));
      return { pcm: mono(format.read(data), format.channels), rate: format.rate };
    }
    at = body + size + (size % 2);
  }
  throw new Error("WAV file has no data");
}

interface Format {
  channels: number;
  rate: number;
  read: (data: Uint8Array) => Int16Array;
}

function readFormat(view: DataView, at: number): Format {
  const named = view.getUint16(at, true);
  // WAVE_FORMAT_EXTENSIBLE keeps the real encoding at the beginning of its sub-format field.
  const extensible = named === FORMAT_EXTENSIBLE && at + 26 <= view.byteLength;
  const encoding = extensible ? view.getUint16(at + 24, true) : named;
  const bits = view.getUint16(at + 14, true);
  const channels = view.getUint16(at + 2, true);
  const rate = view.getUint32(at + 4, true);
  if (channels === 0 || rate === 0) throw new Error("WAV file has no channels or no rate");
  if (encoding === FORMAT_PCM && bits === 16) return { channels, rate, read: pcmOf };
  if (encoding === FORMAT_FLOAT && bits === 32) return { channels, rate, read: pcmOfFloats };
  throw new Error(
    `WAV file is neither 16-bit PCM nor 32-bit float (encoding ${encoding}, ${bits} bits)`,
  );
}

function pcmOfFloats(bytes: Uint8Array): Int16Array {
  const whole = bytes.byteLength - (bytes.byteLength % 4);
  return pcmFrom(new Float32Array(new Uint8Array(bytes.subarray(0, whole)).buffer));
}

function mono(pcm: Int16Array, channels: number): Int16Array {
  if (channels === 1) return pcm;
  const out = new Int16Array(Math.floor(pcm.length / channels));
  for (let i = 0; i < out.length; i++) {
    let sum = 0;
    for (let c = 0; c < channels; c++) sum += pcm[i * channels + c] ?? 0;
    out[i] = sum / channels;
  }
  return out;
}
