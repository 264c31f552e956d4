import type { Envelope } from "../domain/transcript.ts";

interface FeedOptions {
  /** Gets each envelope once, in order of `seq`. */
  deliver: (envelope: Envelope) => void;
  /** Starts the live messages of the session and answers the newest `seq` Redis has. */
  open: () => Promise<number>;
  /** What Redis has after a `seq`, in order. */
  read: (after: number) => Promise<Envelope[]>;
}

/**
 * One session as this node hears it: envelopes published here, at once; those of other nodes from
 * Redis's live messages, and where one of these was lost, from the stream.
 */
export class RedisFeed {
  readonly #options: FeedOptions;
  /** The newest `seq` delivered; undefined while it is not known where "from now on" begins. */
  #newest: number | undefined;
  #isFetching = false;
  #missed = false;

  /** @param newest where to begin, if that is known */
  constructor(options: FeedOptions, newest: number | undefined) {
    this.#options = options;
    this.#newest = newest;
  }

  /** The `seq` up to which envelopes were delivered, 0 for none. */
  get newest(): number {
    return this.#newest ?? 0;
  }

  /** To be called whenever the link is there (again). Rejects when the link is lost meanwhile. */
  async open(): Promise<void> {
    const newest = await this.#options.open();
    this.#newest ??= newest;
    if (newest > this.#newest || this.#missed) await this.#fetch();
  }

  /** An envelope this node published: its log is complete, so there is nothing to wait for. */
  publishedHere(envelope: Envelope): void {
    this.#deliver(envelope);
  }

  /** A live message. Rejects when the link is lost while fetching what came before it. */
  async announced(envelope: Envelope): Promise<void> {
    if (this.#newest === undefined || this.#isFetching) {
      this.#missed = true;
    } else if (envelope.seq === this.#newest + 1) {
      this.#deliver(envelope);
    } else if (envelope.seq > this.#newest) {
      // Not delivered itself: what is announced is in the stream, or was never published.
      await this.#fetch();
    }
  }

  async #fetch(): Promise<void> {
    if (this.#isFetching) {
      this.#missed = true;
      return;
    }
    this.#isFetching = true;
    try {
      do {
        this.#missed = false;
        for (const envelope of await this.#options.read(this.newest)) this.#deliver(envelope);
      } while (this.#missed);
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
