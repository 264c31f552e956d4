import { setImmediate as nextTask } from "node:timers/promises";
import type { Audio } from "../lib/wav.ts";
import { flacDecoder, mpegDecoder } from "./compressed.ts";
import { aiffDecoder, auDecoder } from "./header-decoder.ts";
import { OggDecoder } from "./ogg-decoder.ts";
import { isNoise, pcmFormat } from "./raw-pcm.ts";
import { HEAD_BYTES, type Recognised, recognise } from "./recognise.ts";
import { SampleReader } from "./samples.ts";
import { joined, NotPlayable, type SoundDecoder } from "./sound-decoder.ts";
import { soundInText } from "./text-answer.ts";
import { WavDecoder } from "./wav-decoder.ts";
import { WebmDecoder } from "./webm-decoder.ts";

/** A sound whose kind is known, and that is decoded while it is read. */
export interface OpenSound {
  /** The name of its format for people, such as "WAV". */
  format: string;
  /** Mono, in pieces, each with its own rate. @throws NotPlayable */
  pieces: AsyncGenerator<Audio, void, undefined>;
}

/** Bare samples are judged by this many bytes. */
const PCM_HEAD_BYTES = 1024;
/** So many bytes are decoded at once: about a packet of Opus. */
const SLICE_BYTES = 256;
/**
 * After so many ms decoding makes way. It would else hold up the event loop, and with it the sound
 * that is already on its way to the room.
 */
const BUSY_MS = 2;

/**
 * Recognises a sound by its bytes, and decodes it from the first of them on.
 *
 * @param body closed when the pieces end or are no longer read
 * @param contentType settles what the bytes leave open, such as the rate of bare samples; without
 *   a rate they are taken for 24 kHz
 * @throws NotPlayable that says what came instead of a sound; what `body` throws
 */
export async function openSound(
  body: AsyncIterable<Uint8Array>,
  contentType = "",
): Promise<OpenSound> {
  const type = contentType.toLowerCase();
  const chunks = body[Symbol.asyncIterator]();
  try {
    const { head, recognised, ended } = await readHead(chunks, type);
    const rest = ended ? only(head) : resumed(head, chunks);
    if (recognised.kind === "other") throw new NotPlayable("format", recognised.name);
    if (recognised.kind === "text") return await openSound(soundInText(rest));
    const { format, decoder } = decoderFor(recognised.kind, head, type);
    return { format, pieces: decoded(rest, decoder, format) };
  } catch (error) {
    await chunks.return?.();
    throw error;
  }
}

/** Reads until it is clear what comes. */
async function readHead(chunks: AsyncIterator<Uint8Array>, type: string) {
  let head: Uint8Array = new Uint8Array();
  let recognised: Recognised | undefined;
  let tag = 0;
  for (;;) {
    const { done, value } = await chunks.next();
    const ended = done === true;
    if (!ended) head = joined(head, value);
    if (ended && head.length === 0) throw new NotPlayable("empty");
    // An ID3v2 tag may stand before several formats, and may be long.
    tag += id3Bytes(head.subarray(tag));
    if (tag > 0 && !ended && head.length < tag + 10) continue;
    const content = head.subarray(tag);
    recognised = recognise(content, type, ended || content.length >= HEAD_BYTES);
    if (recognised?.kind === "pcm" && !ended && content.length < PCM_HEAD_BYTES) continue;
    if (recognised) return { head: content, recognised, ended };
  }
}

/** The length of an ID3v2 tag (https://id3.org/id3v2.4.0-structure); 0 if there is none. */
function id3Bytes(bytes: Uint8Array): number {
  const [i, d, three, major = 255, , flags = 0, ...sizes] = bytes.subarray(0, 10);
  if (bytes.length < 10 || i !== 0x49 || d !== 0x44 || three !== 0x33 || major === 255) return 0;
  const size = sizes.reduce((sum, byte) => sum * 128 + (byte & 0x7f), 0);
  return 10 + size + (flags & 0x10 ? 10 : 0);
}

function decoderFor(
  kind: Exclude<Recognised["kind"], "other" | "text">,
  head: Uint8Array,
  type: string,
): { format: string; decoder: SoundDecoder } {
  switch (kind) {
    case "wav":
      return { format: "WAV", decoder: new WavDecoder() };
    case "mp3":
      return { format: "MP3", decoder: mpegDecoder() };
    case "ogg":
      return { format: "Ogg", decoder: new OggDecoder() };
    case "flac":
      return { format: "FLAC", decoder: flacDecoder() };
    case "webm":
      return { format: "WebM", decoder: new WebmDecoder() };
    case "au":
      return { format: "AU", decoder: auDecoder() };
    case "aiff":
      return { format: "AIFF", decoder: aiffDecoder() };
    case "pcm": {
      const format = pcmFormat(type, head);
      if (isNoise(head, format)) throw new NotPlayable("format", "an unknown format");
      return { format: "PCM", decoder: new SampleReader(format) };
    }
  }
}

async function* only(head: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield head;
}

async function* resumed(
  head: Uint8Array,
  chunks: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield head;
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value;
  } finally {
    await chunks.return?.();
  }
}

async function* decoded(
  body: AsyncGenerator<Uint8Array, void, undefined>,
  decoder: SoundDecoder,
  format: string,
): AsyncGenerator<Audio, void, undefined> {
  const orBroken = async (work: () => Audio[] | Promise<Audio[]>) => {
    try {
      return await work();
    } catch (error) {
      // The libraries throw anything when they are given nonsense.
      throw error instanceof NotPlayable ? error : new NotPlayable("format", `a broken ${format}`);
    }
  };
  let busySince = performance.now();
  try {
    for await (const chunk of body) {
      for (let at = 0; at < chunk.length; at += SLICE_BYTES) {
        if (performance.now() - busySince > BUSY_MS) {
          await nextTask();
          busySince = performance.now();
        }
        yield* await orBroken(() => decoder.push(chunk.subarray(at, at + SLICE_BYTES)));
      }
    }
    yield* await orBroken(() => decoder.end());
  } finally {
    decoder.close();
    await body.return();
  }
}
