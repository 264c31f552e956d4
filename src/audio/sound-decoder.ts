import type { Audio } from "../lib/wav.ts";

/** Turns the bytes of one kind of sound into samples while they arrive, cut anywhere. */
export interface SoundDecoder {
  /** @returns the sound that is complete with these bytes @throws NotPlayable */
  push(bytes: Uint8Array): Audio[] | Promise<Audio[]>;
  /** @returns what is left when no more bytes come @throws NotPlayable */
  end(): Audio[] | Promise<Audio[]>;
  /** Frees what the decoder holds; it is not used after that. */
  close(): void;
}

/** Why an answer has no sound that can be played. */
export type NotPlayableReason = "empty" | "error_body" | "format";

/** What a server sent is not a sound that can be played. */
export class NotPlayable extends Error {
  override readonly name = "NotPlayable";
  readonly reason: NotPlayableReason;
  /** The name of what came, such as "AAC" or "HTML"; never text of the server. */
  readonly what: string | undefined;
  /** The error that the server sent; to be understood, never to be shown or logged. */
  readonly body: unknown;

  constructor(reason: NotPlayableReason, what?: string, body?: unknown) {
    super(`no sound: ${what ?? reason}`);
    this.reason = reason;
    this.what = what;
    this.body = body;
  }
}

/** The two pieces of memory as one; the first may be empty. */
export function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length === 0) return b;
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
