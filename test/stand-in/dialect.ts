import type { Wire } from "./realtime.ts";

/** The connection under a dialect, which may also close it, or send what is no text. */
export interface DialectWire extends Wire {
  send(data: string | Uint8Array): void;
  close(code?: number, reason?: string): void;
}

/** What takes the client's messages. */
export interface Receiver {
  receive(text: string): void;
}

/**
 * One way in which a real server's `/realtime` deviates from OpenAI's transcription. It stands
 * between the client and the well-behaved session.
 */
export interface RealtimeDialect {
  /** What the server does, for test names. */
  name: string;
  /** The public report that it comes from, as `owner/repository#number` or an address. */
  report: string;
  /** Begins a connection. @param session begins the well-behaved session over a wire */
  connect(wire: DialectWire, session: (wire: Wire) => Receiver): Receiver;
}
