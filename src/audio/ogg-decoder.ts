import type { Audio } from "../lib/wav.ts";
import { oggFlacDecoder, vorbisDecoder } from "./compressed.ts";
import { OpusPackets } from "./opus-decoder.ts";
import { joined, NotPlayable, type SoundDecoder } from "./sound-decoder.ts";

/** A page of an Ogg stream (RFC 3533). */
interface Page {
  bytes: Uint8Array;
  begins: boolean;
  ends: boolean;
  /** The number of the logical stream. */
  serial: number;
  /** The position after its last packet; undefined if no packet ends in it. */
  position: number | undefined;
  /** Its packets that are there; the last may go on in the next page. */
  packets: Uint8Array[];
  /** How many it has when all of it is there. */
  count: number;
  isWhole: boolean;
  /** Whether the first packet goes on from the page before. */
  continues: boolean;
  /** Whether the last packet goes on in the next page. */
  isOpen: boolean;
}

const HEADER_BYTES = 27;

/** One logical stream of an Ogg file. */
interface OggStream {
  page(page: Page): Promise<Audio[]>;
  /** Called with what is there of a page, which may last for a second. */
  begunPage?(page: Page): Promise<Audio[]>;
  end(): Promise<Audio[]>;
  close(): void;
}

/**
 * Reads Ogg with Opus, Vorbis or FLAC. Several files in a row are one sound (RFC 3533 calls that
 * chaining); of streams beside each other the first is played.
 */
export class OggDecoder implements SoundDecoder {
  #bytes: Uint8Array = new Uint8Array();
  #stream: OggStream | undefined;
  #serial = 0;
  #hasContent = false;

  async push(bytes: Uint8Array): Promise<Audio[]> {
    this.#bytes = joined(this.#bytes, bytes);
    const sound: Audio[] = [];
    let page = this.#nextPage();
    for (; page?.isWhole; page = this.#nextPage()) sound.push(...(await this.#readPage(page)));
    if (page && !page.begins && page.serial === this.#serial) {
      sound.push(...((await this.#stream?.begunPage?.(page)) ?? []));
    }
    return sound;
  }

  async end(): Promise<Audio[]> {
    return (await this.#stream?.end()) ?? [];
  }

  close(): void {
    this.#stream?.close();
    this.#stream = undefined;
  }

  #nextPage(): Page | undefined {
    const { buffer, byteOffset, byteLength } = this.#bytes;
    const start = Buffer.from(buffer, byteOffset, byteLength).indexOf("OggS");
    if (start < 0) {
      this.#bytes = this.#bytes.slice(-3);
      return undefined;
    }
    if (start > 0) this.#bytes = this.#bytes.slice(start);
    const page = readPage(this.#bytes);
    if (page?.isWhole) this.#bytes = this.#bytes.slice(page.bytes.length);
    return page;
  }

  async #readPage(page: Page): Promise<Audio[]> {
    const sound: Audio[] = [];
    if (page.begins && (this.#stream === undefined || this.#hasContent)) {
      sound.push(...(await this.end()));
      this.close();
      this.#stream = streamOf(page);
      this.#serial = page.serial;
      this.#hasContent = false;
    } else if (page.serial !== this.#serial) {
      return sound;
    } else {
      this.#hasContent = true;
    }
    sound.push(...((await this.#stream?.page(page)) ?? []));
    return sound;
  }
}

function readPage(bytes: Uint8Array): Page | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const segments = bytes[26] ?? 0;
  const head = HEADER_BYTES + segments;
  if (bytes.length < head) return undefined;
  const sizes = bytes.subarray(HEADER_BYTES, head);
  const length = head + sizes.reduce((sum, size) => sum + size, 0);
  const isWhole = bytes.length >= length;
  const packets: Uint8Array[] = [];
  let from = head;
  let to = head;
  for (const size of sizes) {
    to += size;
    if (size === 255) continue;
    if (to <= bytes.length) packets.push(bytes.slice(from, to));
    from = to;
  }
  const isOpen = from < length;
  if (isOpen && isWhole) packets.push(bytes.slice(from, length));
  const view = new DataView(bytes.buffer, bytes.byteOffset, head);
  const flags = view.getUint8(5);
  const position = view.getBigInt64(6, true);
  return {
    bytes: bytes.slice(0, length),
    begins: (flags & 2) !== 0,
    ends: (flags & 4) !== 0,
    continues: (flags & 1) !== 0,
    serial: view.getUint32(14, true),
    position: position < 0n ? undefined : Number(position),
    packets,
    count: sizes.filter((size) => size < 255).length,
    isWhole,
    isOpen,
  };
}

function streamOf({ packets: [first = new Uint8Array()] }: Page): OggStream {
  const head = Buffer.from(first.subarray(0, 8)).toString("latin1");
  if (head === "OpusHead") return new OpusStream(first);
  if (head.startsWith("\x01vorbis")) return pageByPage(vorbisDecoder());
  if (head.startsWith("\x7fFLAC")) return pageByPage(oggFlacDecoder());
  throw new NotPlayable("format", head === "Speex   " ? "Ogg Speex" : "Ogg with unknown content");
}

/** For decoders that read Ogg themselves. */
function pageByPage(decoder: SoundDecoder): OggStream {
  return {
    page: async ({ bytes }) => decoder.push(bytes),
    end: async () => decoder.end(),
    close: () => decoder.close(),
  };
}

/** Packets at the end of a sound that wait for all of it, since part of them may be cut off. */
const LAST_PACKETS = 3;

class OpusStream implements OggStream {
  readonly #packets: OpusPackets;
  /** The beginning of a packet that goes on in the next page. */
  #open: Uint8Array | undefined;
  #headers = 2;
  /** Packets of the page that were decoded before all of it was there. */
  #taken = 0;

  constructor(head: Uint8Array) {
    this.#packets = new OpusPackets(head);
  }

  async page(page: Page): Promise<Audio[]> {
    const packets = this.#packetsOf(page);
    this.#open = page.isOpen ? packets.pop() : undefined;
    const sound = await this.#decode(packets, page.ends ? page.position : undefined);
    this.#taken = 0;
    return sound;
  }

  begunPage(page: Page): Promise<Audio[]> {
    const until = page.ends ? Math.max(0, page.count - LAST_PACKETS) : page.count;
    return this.#decode(this.#packetsOf(page).slice(0, until));
  }

  #packetsOf({ packets, continues }: Page): Uint8Array[] {
    const [first, ...others] = packets;
    if (!continues || !first) return packets;
    return this.#open ? [joined(this.#open, first), ...others] : others;
  }

  /** Decodes the packets of a page that were not decoded yet. */
  async #decode(packets: Uint8Array[], endsAt?: number): Promise<Audio[]> {
    const fresh = packets.slice(this.#taken);
    this.#taken = Math.max(this.#taken, packets.length);
    // The identification and the comment are not sound.
    const headers = Math.min(this.#headers, fresh.length);
    this.#headers -= headers;
    const sound = fresh.slice(headers).filter((packet) => packet.length > 0);
    return sound.length === 0 ? [] : this.#packets.decode(sound, endsAt);
  }

  async end(): Promise<Audio[]> {
    return [];
  }

  close(): void {
    this.#packets.close();
  }
}
