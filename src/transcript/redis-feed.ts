import type { SessionPosition } from "../domain/stores.ts";
import { type Envelope, isSessionEnd } from "../domain/transcript.ts";

interface FeedOptions {
  /** Receives each envelope once, in order of `seq`. */
  deliver: (envelope: Envelope) => void;
  /** Subscribes to the session's live messages and returns where its stream ends. */
  open: () => Promise<SessionPosition>;
  /**
   * Reads the envelopes of the stream after a `seq`, in order. The end of a session is always among
   * them once it has ended, whatever its number in the stream.
   */
  read: (after: number) => Promise<Envelope[]>;
}

/**
 * Puts the envelopes of one session in order for this node's listeners. Envelopes published here
 * are delivered at once. Those of other nodes arrive as live messages from Redis; if one of these
 * was lost, the gap is read from the stream.
 */
export class RedisFeed {
  readonly #options: FeedOptions;
  /** The newest `seq` delivered; undefined until `open` has found where live messages begin. */
  #newest: number | undefined;
  #hasEnded = false;
  #isFetching = false;
  /** A live message arrived that could not be delivered; the stream has to be read again. */
  #hasMissed = false;

  /** @param newest the newest `seq` that listeners already have, if known */
  constructor(options: FeedOptions, newest: number | undefined) {
    this.#options = options;
    this.#newest = newest;
  }

  /** The `seq` up to which envelopes were delivered, 0 for none. */
  get newest(): number {
    return this.#newest ?? 0;
  }

  /** Whether the end of the session was delivered. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** To be called whenever Redis is connected (again). Rejects if the connection breaks. */
  async open(): Promise<void> {
    const isFirst = this.#newest === undefined;
    const { seq, ended } = await this.#options.open();
    this.#newest ??= seq;
    // At first, what the session was so far is not for the feed: it is read, not delivered.
    const hasEndedSince = ended && !isFirst;
    if (seq > this.#newest || hasEndedSince || this.#hasMissed) await this.#fetch();
  }

  /** Delivers an envelope that this node has itself: its log has no gaps. */
  deliverOwn(envelope: Envelope): void {
    this.#deliver(envelope);
  }

  /** Takes a live message. Rejects if the connection breaks while a gap is fetched. */
  async receive(envelope: Envelope): Promise<void> {
    if (this.#newest === undefined || this.#isFetching) {
      this.#hasMissed = true;
    } else if (envelope.seq === this.#newest + 1) {
      this.#deliver(envelope);
    } else if (envelope.seq > this.#newest || isSessionEnd(envelope)) {
      // Read from the stream, this one included: a message that is not there is a forgery.
      await this.#fetch();
    }
  }

  async #fetch(): Promise<void> {
    if (this.#isFetching) {
      this.#hasMissed = true;
      return;
    }
    this.#isFetching = true;
    try {
      do {
        this.#hasMissed = false;
        for (const envelope of await this.#options.read(this.newest)) this.#deliver(envelope);
      } while (this.#hasMissed);
    } finally {
      this.#isFetching = false;
    }
  }

  #deliver(envelope: Envelope): void {
    if (envelope.seq <= this.newest || this.#hasEnded) return;
    this.#newest = envelope.seq;
    this.#hasEnded = isSessionEnd(envelope);
    this.#options.deliver(envelope);
  }
}
