import fc from "fast-check";

/** What a WebSocket client sends: its handshake and then bytes, whether they are frames or not. */
export interface Conversation {
  query: string;
  headers: string;
  sent: readonly Uint8Array[];
}

/** A frame (RFC 6455, section 5.2) whose parts need not fit together. */
const frame = fc
  .record({
    fin: fc.boolean(),
    reserved: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.nat(7)),
    opcode: fc.oneof(fc.constantFrom(0, 1, 2, 8, 9, 10), fc.nat(15)),
    masked: fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, fc.boolean()),
    payload: fc.oneof(
      fc.uint8Array({ maxLength: 130 }),
      fc.constantFrom(0, 125, 126, 1024, 1025, 70_000).map((size) => new Uint8Array(size)),
      // Codes of close frames, good and bad.
      fc.integer({ min: 0, max: 65_535 }).map((code) => Uint8Array.of(code >> 8, code & 255)),
      fc
        .constantFrom(1000, 1005, 1006, 1013, 3000)
        .map((code) => Uint8Array.of(code >> 8, code & 255)),
    ),
    /** Undefined: as long as the payload. */
    length: fc.option(fc.constantFrom(0n, 125n, 126n, 65_536n, 1n << 40n, (1n << 64n) - 1n), {
      nil: undefined,
      freq: 6,
    }),
  })
  .map(({ fin, reserved, opcode, masked, payload, length }) => {
    const size = length ?? BigInt(payload.length);
    const mask = masked ? 0x80 : 0;
    const head = [(fin ? 0x80 : 0) | (reserved << 4) | opcode];
    if (size < 126n) head.push(mask | Number(size));
    else if (size < 65_536n) head.push(mask | 126, Number(size) >> 8, Number(size) & 255);
    else head.push(mask | 127, ...new Uint8Array(new BigUint64Array([size]).buffer).reverse());
    return Buffer.from([...head, ...(masked ? [0, 0, 0, 0] : []), ...payload]);
  });

const ping = Buffer.from([0x89, 0x80 | 4, 0, 0, 0, 0, 1, 2, 3, 4]);
const sent = fc.oneof(
  { weight: 6, arbitrary: fc.array(frame, { minLength: 1, maxLength: 12 }) },
  { weight: 1, arbitrary: fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 4 }) },
  { weight: 1, arbitrary: fc.constant([Buffer.concat(Array(2000).fill(ping))]) },
  // A frame that arrives byte by byte.
  {
    weight: 1,
    arbitrary: frame.map((all) => [...all.subarray(0, 50)].map((byte) => Buffer.of(byte))),
  },
);

const after = fc.oneof(
  fc.constantFrom("0", "1", "2", "999999999999999", "-1", "1.5", "1e3", "%00", "9".repeat(16), ""),
  fc.string({ maxLength: 10 }).map(encodeURIComponent),
);
const header = fc.constantFrom(
  "Sec-WebSocket-Protocol: chat, x\r\n",
  "Sec-WebSocket-Protocol: \xff\r\n",
  "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
  "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99, x; y=z\r\n",
  "Sec-WebSocket-Version: 8\r\n",
  "Sec-WebSocket-Key: short\r\n",
  "Origin: http://localhost\r\n",
  "Origin: http://evil.example\r\n",
);

export const conversations: fc.Arbitrary<Conversation> = fc.record({
  query: fc
    .option(after, { nil: undefined })
    .map((seq) => (seq === undefined ? "" : `?after=${seq}`)),
  headers: fc.array(header, { maxLength: 2 }).map((all) => all.join("")),
  sent,
});
