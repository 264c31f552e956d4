/** Mono PCM and its rate in Hz. */
export interface Audio {
  pcm: Int16Array;
  rate: number;
}

const HEADER_BYTES = 44;
const FORMAT_PCM = 1;
const FORMAT_EXTENSIBLE = 0xfffe;

/** A WAV file (RIFF, 16-bit PCM, mono) of `pcm` at `rate` Hz. */
export function wav(pcm: Int16Array, rate: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEADER_BYTES + pcm.length * 2);
  const view = new DataView(bytes.buffer);
  const tag = (at: number, text: string) => bytes.set(Buffer.from(text, "latin1"), at);
  tag(0, "RIFF");
  view.setUint32(4, bytes.length - 8, true);
  tag(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, FORMAT_PCM, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, rate * 2, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  tag(36, "data");
  view.setUint32(40, pcm.length * 2, true);
  bytes.set(pcmBytes(pcm), HEADER_BYTES);
  return bytes;
}

/** The bytes of `pcm`, little-endian as on every platform that Parley runs on; not copied. */
export function pcmBytes(pcm: Int16Array): Uint8Array {
  return new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength);
}

/** Little-endian 16-bit samples from bytes; an odd last byte is left out. */
export function pcmOf(bytes: Uint8Array): Int16Array {
  const even = bytes.byteLength - (bytes.byteLength % 2);
  return new Int16Array(bytes.slice(0, even).buffer);
}

/**
 * Reads a WAV file of 16-bit PCM; several channels are averaged to one. A `data` size that is
 * larger than the file (streamed WAVs carry 0xffffffff) means "to the end".
 *
 * @throws Error that says what is wrong when the bytes are not such a file.
 */
export function readWav(bytes: Uint8Array): Audio {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tag = (at: number) => Buffer.from(bytes.subarray(at, at + 4)).toString("latin1");
  if (bytes.byteLength < 12 || tag(0) !== "RIFF" || tag(8) !== "WAVE") {
    throw new Error("not a WAV file: no RIFF/WAVE header");
  }
  let format: { channels: number; rate: number } | undefined;
  for (let at = 12; at + 8 <= bytes.byteLength; ) {
    const size = view.getUint32(at + 4, true);
    const body = at + 8;
    if (tag(at) === "fmt " && body + 16 <= bytes.byteLength) format = readFormat(view, body);
    if (tag(at) === "data") {
      if (format === undefined) throw new Error("WAV file has data before its format");
      const pcm = pcmOf(bytes.subarray(body, Math.min(body + size, bytes.byteLength)));
      return { pcm: mono(pcm, format.channels), rate: format.rate };
    }
    at = body + size + (size % 2);
  }
  throw new Error("WAV file has no data");
}

function readFormat(view: DataView, at: number): { channels: number; rate: number } {
  const encoding = view.getUint16(at, true);
  const bits = view.getUint16(at + 14, true);
  if ((encoding !== FORMAT_PCM && encoding !== FORMAT_EXTENSIBLE) || bits !== 16) {
    throw new Error(`WAV file is not 16-bit PCM (encoding ${encoding}, ${bits} bits)`);
  }
  const channels = view.getUint16(at + 2, true);
  const rate = view.getUint32(at + 4, true);
  if (channels === 0 || rate === 0) throw new Error("WAV file has no channels or no rate");
  return { channels, rate };
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
