import type { Envelope } from "../domain/transcript.ts";

interface FeedOptions {
  /** Receives each envelope once, in order of `seq`. */
  deliver: (envelope: Envelope) => void;
  /** Subscribes to the session's live messages and returns the newest `seq` of its stream. */
  open: () => Promise<number>;
  /** Reads the envelopes of the stream after a `seq`, in order. */
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

  /** To be called whenever Redis is connected (again). Rejects if the connection breaks. */
  async open(): Promise<void> {
    const newest = await this.#options.open();
    this.#newest ??= newest;
    if (newest > this.#newest || this.#hasMissed) await this.#fetch();
  }

  /** Delivers an envelope that this node published: its log has no gaps. */
  deliverOwn(envelope: Envelope): void {
    this.#deliver(envelope);
  }

  /** Takes a live message. Rejects if the connection breaks while a gap is fetched. */
  async receive(envelope: Envelope): Promise<void> {
    if (this.#newest === undefined || this.#isFetching) {
      this.#hasMissed = true;
    } else if (envelope.seq === this.#newest + 1) {
      this.#deliver(envelope);
    } else if (envelope.seq > this.#newest) {
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
    if (envelope.seq <= this.newest) return;
    this.#newest = envelope.seq;
    this.#options.deliver(envelope);
  }
}
