import { framesAt } from "./mpeg-frames.ts";

/** What begins with some bytes. */
export type Recognised =
  | { kind: "wav" | "mp3" | "ogg" | "flac" | "webm" | "au" | "aiff" | "pcm" | "text" }
  /** A format that Parley does not play. */
  | { kind: "other"; name: string };

/** As much of an answer as is needed to tell what it is. */
export const HEAD_BYTES = 8192;
/** Text shorter than this may still turn out to be sound. */
const TEXT_BYTES = 48;

const MAGIC: readonly [at: number, bytes: string, recognised: Recognised][] = [
  [0, "OggS", { kind: "ogg" }],
  [0, "fLaC", { kind: "flac" }],
  [0, "\x1a\x45\xdf\xa3", { kind: "webm" }],
  [0, ".snd", { kind: "au" }],
  [4, "ftyp", { kind: "other", name: "MP4" }],
  [0, "#!AMR", { kind: "other", name: "AMR" }],
  [0, "#!SILK", { kind: "other", name: "SILK" }],
  [0, "\x02#!SILK", { kind: "other", name: "SILK" }],
  [0, "caff", { kind: "other", name: "CAF" }],
  [0, "wvpk", { kind: "other", name: "WavPack" }],
  [0, "MAC ", { kind: "other", name: "Monkey's Audio" }],
  [0, "ADIF", { kind: "other", name: "AAC" }],
  [0, "\x30\x26\xb2\x75\x8e\x66\xcf\x11", { kind: "other", name: "WMA" }],
  [0, "MThd", { kind: "other", name: "MIDI" }],
  [0, "PK\x03\x04", { kind: "other", name: "ZIP" }],
  [0, "\x1f\x8b\x08", { kind: "other", name: "gzip" }],
  [0, "%PDF-", { kind: "other", name: "PDF" }],
  [0, "\x89PNG", { kind: "other", name: "PNG" }],
  [0, "GIF8", { kind: "other", name: "GIF" }],
  [0, "\xff\xd8\xff\xe0", { kind: "other", name: "JPEG" }],
];

/**
 * Says what an answer is by its first bytes. The content type decides nothing by itself, since
 * many servers state a wrong one; it only settles what the bytes leave open.
 *
 * @param ended whether `head` is the whole answer
 * @returns undefined if more bytes are needed, which are never more than `HEAD_BYTES`
 */
export function recognise(
  head: Uint8Array,
  contentType: string,
  ended: boolean,
): Recognised | undefined {
  const isWhole = ended || head.length >= HEAD_BYTES;
  if (head.length < 12 && !ended) return undefined;
  const text = Buffer.from(head.subarray(0, 16)).toString("latin1");
  if (/^(RIFF|RIFX|RF64|BW64)....WAVE/s.test(text)) return { kind: "wav" };
  if (/^FORM....AIF[FC]/s.test(text)) return { kind: "aiff" };
  for (const [at, bytes, recognised] of MAGIC) {
    if (text.startsWith(bytes, at)) return recognised;
  }
  if (isText(head)) return head.length >= TEXT_BYTES || isWhole ? { kind: "text" } : undefined;
  const frames = mpegFrames(head, contentType, isWhole);
  if (frames === "more") return isWhole ? { kind: "pcm" } : undefined;
  if (frames === "aac") return { kind: "other", name: "AAC" };
  return frames === "mpeg" ? { kind: "mp3" } : { kind: "pcm" };
}

/** Bare samples may look like a frame, but hardly like several in a row. */
function mpegFrames(
  head: Uint8Array,
  contentType: string,
  isWhole: boolean,
): "mpeg" | "aac" | "more" | undefined {
  const count = /pcm|l16|basic|law/.test(contentType) ? 3 : 2;
  const found = framesAt(head, 0, count);
  if (found === "more" && isWhole)
    return framesAt(head, 0, 1) === "more" ? undefined : lone(head, contentType);
  if (found !== undefined) return found;
  if (!/mpeg|mp3|aac/.test(contentType)) return undefined;
  // Some encoders put a few bytes before the first frame.
  for (let at = 1; at < head.length; at++) {
    const later = framesAt(head, at, 3);
    if (later === "mpeg" || later === "aac") return later;
  }
  return isWhole ? undefined : "more";
}

/** A sound of so few frames that they cannot confirm each other. */
function lone(head: Uint8Array, contentType: string): "mpeg" | "aac" | undefined {
  const found = framesAt(head, 0, 1);
  return /mpeg|mp3|aac/.test(contentType) && found !== "more" ? found : undefined;
}

/** Whether it can be read: sound has control characters or broken UTF-8 early on. */
function isText(head: Uint8Array): boolean {
  const text = new TextDecoder().decode(head.subarray(0, TEXT_BYTES));
  // A character may be cut at the end of what came so far.
  return text !== "" && !/[^\P{Cc}\t\r\n]|\ufffd/u.test(text.replace(/\ufffd$/, ""));
}
