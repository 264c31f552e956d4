import type { Audio } from "../lib/wav.ts";
import { OpusPackets } from "./opus-decoder.ts";
import { joined, NotPlayable, type SoundDecoder } from "./sound-decoder.ts";

/** The elements that matter (RFC 9559). */
const ID = {
  segment: 0x18538067,
  cluster: 0x1f43b675,
  blockGroup: 0xa0,
  block: 0xa1,
  simpleBlock: 0xa3,
  tracks: 0x1654ae6b,
  track: 0xae,
  codec: 0x86,
  codecPrivate: 0x63a2,
} as const;

/** Elements of which the content is read, not skipped. */
const OPENED: ReadonlySet<number> = new Set([
  ID.segment,
  ID.cluster,
  ID.blockGroup,
  ID.tracks,
  ID.track,
]);
const READ: ReadonlySet<number> = new Set([ID.block, ID.simpleBlock, ID.codec, ID.codecPrivate]);
const MAX_ELEMENT_BYTES = 1 << 20;

/** Reads WebM and Matroska with Opus, as servers made for browsers send it. */
export class WebmDecoder implements SoundDecoder {
  #bytes: Uint8Array = new Uint8Array();
  #skip = 0;
  #packets: OpusPackets | undefined;

  async push(bytes: Uint8Array): Promise<Audio[]> {
    this.#bytes = joined(this.#bytes, bytes);
    const sound: Audio[] = [];
    for (;;) {
      const skipped = Math.min(this.#skip, this.#bytes.length);
      this.#skip -= skipped;
      this.#bytes = this.#bytes.slice(skipped);
      const element = this.#skip > 0 ? undefined : elementAt(this.#bytes);
      if (!element) return sound;
      const { id, head, size } = element;
      if (OPENED.has(id)) {
        this.#bytes = this.#bytes.slice(head);
      } else if (!READ.has(id)) {
        this.#skip = head + size;
      } else {
        if (size > MAX_ELEMENT_BYTES) throw new NotPlayable("format", "a broken WebM");
        if (this.#bytes.length < head + size) return sound;
        sound.push(...(await this.#read(id, this.#bytes.slice(head, head + size))));
        this.#bytes = this.#bytes.slice(head + size);
      }
    }
  }

  end(): Audio[] {
    return [];
  }

  close(): void {
    this.#packets?.close();
  }

  async #read(id: number, content: Uint8Array): Promise<Audio[]> {
    if (id === ID.codec) {
      const codec = new TextDecoder().decode(content);
      if (!codec.startsWith("A_OPUS")) throw new NotPlayable("format", "WebM without Opus");
      return [];
    }
    if (id === ID.codecPrivate) {
      this.#packets?.close();
      this.#packets = new OpusPackets(content);
      return [];
    }
    if (!this.#packets) throw new NotPlayable("format", "a broken WebM");
    const track = numberAt(content, 0, true);
    // After the number of the track come the time (2 bytes) and the flags, which name the lacing.
    const head = (track?.length ?? 1) + 3;
    if (((content[head - 1] ?? 0) & 0x06) !== 0)
      throw new NotPlayable("format", "WebM with lacing");
    return this.#packets.decode([content.slice(head)]);
  }
}

function elementAt(bytes: Uint8Array): { id: number; head: number; size: number } | undefined {
  const id = numberAt(bytes, 0, false);
  const size = id && numberAt(bytes, id.length, true);
  return id && size && { id: id.value, head: id.length + size.length, size: size.value };
}

/**
 * A number whose first bits say its length (RFC 8794).
 *
 * @param masked whether those bits are no part of it
 */
function numberAt(bytes: Uint8Array, at: number, masked: boolean) {
  const first = bytes[at];
  if (first === undefined) return undefined;
  const length = Math.clz32(first) - 23;
  if (length > 8) throw new NotPlayable("format", "a broken WebM");
  if (bytes.length < at + length) return undefined;
  let value = masked ? first & (0xff >> length) : first;
  for (let i = 1; i < length; i++) value = value * 256 + (bytes[at + i] ?? 0);
  return { value, length };
}
