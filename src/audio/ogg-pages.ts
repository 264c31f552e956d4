const FIRST = 2;
const LAST = 4;
const HEAD_BYTES = 27;
/** A page's table of lengths has so many places, of 255 bytes each. */
const MAX_SEGMENTS = 255;

/** Writes the pages of an Ogg stream (RFC 3533) with packets that are whole within their page. */
export class OggPages {
  readonly #serial = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  #number = 0;

  /** @param position where the page ends, in the codec's unit */
  page(packets: readonly Uint8Array[], position: bigint, isLast = false): Uint8Array {
    const segments = packets.flatMap(({ length }) => [
      ...Array.from({ length: Math.floor(length / 255) }, () => 255),
      length % 255,
    ]);
    const head = Buffer.alloc(HEAD_BYTES);
    head.write("OggS", "latin1");
    head.writeUInt8((this.#number === 0 ? FIRST : 0) | (isLast ? LAST : 0), 5);
    head.writeBigInt64LE(position, 6);
    head.writeUInt32LE(this.#serial, 14);
    head.writeUInt32LE(this.#number, 18);
    head.writeUInt8(segments.length, 26);
    this.#number += 1;
    const page = Buffer.concat([head, Uint8Array.from(segments), ...packets]);
    page.writeUInt32LE(checksum(page), 22);
    return page;
  }

  /**
   * As many pages as the packets need.
   *
   * @param position where the last page ends
   * @param duration of each packet, in the same unit
   */
  pages(
    packets: readonly Uint8Array[],
    position: bigint,
    duration: bigint,
    isLast: boolean,
  ): Uint8Array {
    const groups: Uint8Array[][] = [[]];
    let segments = 0;
    for (const packet of packets) {
      const needed = Math.floor(packet.length / 255) + 1;
      if (segments + needed > MAX_SEGMENTS) {
        groups.push([]);
        segments = 0;
      }
      segments += needed;
      groups.at(-1)?.push(packet);
    }
    let left = packets.length;
    const pages = groups.map((group, index) => {
      left -= group.length;
      const isEnd = index === groups.length - 1;
      return this.page(group, position - BigInt(left) * duration, isLast && isEnd);
    });
    return Buffer.concat(pages);
  }
}

/** CRC-32 with the polynomial 0x04c11db7, not reflected, which no library of ours has. */
function checksum(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 24;
    for (let bit = 0; bit < 8; bit++) crc = (crc << 1) ^ (crc & 0x8000_0000 ? 0x04c1_1db7 : 0);
  }
  return crc >>> 0;
}
