import type { Logger } from "pino";
import type { SessionPosition } from "../domain/stores.ts";
import { type Envelope, isSessionEnd } from "../domain/transcript.ts";
import { messageOf } from "../errors.ts";

/** One WebSocket as the hub sees it. */
export interface HubClient {
  send(text: string): void;
  /** Bytes that `send` accepted and the network has not taken yet. */
  bufferedBytes(): number;
  /** Closes the connection. The hub has already forgotten the client. */
  close(code: number, reason: string): void;
}

/** WebSocket close codes (RFC 6455, and IANA's registry for 1013) as the hub uses them. */
export const CLOSE = { ended: 1000, goingAway: 1001, failed: 1011, tooSlow: 1013 } as const;

/** An envelope as it is sent: serialised once for all subscribers. */
export interface Message {
  seq: number;
  text: string;
  endsSession: boolean;
}

export function messageFrom(envelope: Envelope): Message {
  return { seq: envelope.seq, text: JSON.stringify(envelope), endsSession: isSessionEnd(envelope) };
}

interface SubscriberOptions {
  client: HubClient;
  sessionId: string;
  logger: Pick<Logger, "warn">;
  /** The client is too slow when more than this waits for it, in bytes. */
  maxBufferedBytes: number;
  /** Called once, when the client left or before it is closed. */
  onDetach: () => void;
}

/**
 * Serves one client: first the replay, as fast as the client reads, then live messages. Live
 * messages that arrive during the replay wait in a backlog and follow it without gap or duplicate.
 */
export class Subscriber {
  readonly #options: SubscriberOptions;
  readonly #client: HubClient;
  /** The `seq` up to which the client has been served. */
  #served = 0;
  /** Undefined once the client is live. */
  #backlog: { messages: Message[]; bytes: number } | undefined = { messages: [], bytes: 0 };
  /** Wakes a replay that waits for the network. */
  #wake = () => {};
  #detached = false;

  constructor(options: SubscriberOptions) {
    this.#options = options;
    this.#client = options.client;
  }

  /**
   * Sends what is stored, then the backlog. Afterwards the client is live, or closed if its session
   * has ended. Rejects with what `pages` throws.
   *
   * @param pages the stored messages, in order
   * @param position up to which `seq` the client is served by these pages, or was before, and
   *   whether the session had ended before the first page was read
   */
  async replay(
    pages: AsyncIterable<Message[]> | Iterable<Message[]>,
    { seq, ended: hasEnded }: SessionPosition,
  ): Promise<void> {
    this.#served = seq;
    let ended = hasEnded;
    for await (const page of pages) {
      if (this.#detached) return;
      ended ||= page.some((message) => message.endsSession);
      this.#served = Math.max(this.#served, page.at(-1)?.seq ?? 0);
      await this.#sendAll(page);
    }
    while (!this.#detached && this.#backlog?.messages.length) {
      const messages = this.#backlog.messages.filter(({ seq }) => seq > this.#served);
      this.#backlog = { messages: [], bytes: 0 };
      ended ||= messages.some((message) => message.endsSession);
      this.#served = Math.max(this.#served, messages.at(-1)?.seq ?? 0);
      await this.#sendAll(messages);
    }
    this.#backlog = undefined;
    if (ended) this.close(CLOSE.ended, "session ended");
  }

  /** Takes a live message. A client that reads too slowly is closed instead. */
  deliver(message: Message): void {
    if (this.#detached || message.seq <= this.#served) return;
    if (this.#backlog) {
      this.#backlog.messages.push(message);
      this.#backlog.bytes += message.text.length;
      if (this.#backlog.bytes > this.#options.maxBufferedBytes) this.#closeSlow();
      return;
    }
    // Checked before sending, so that one message larger than the buffer still gets through.
    if (this.#client.bufferedBytes() > this.#options.maxBufferedBytes) {
      this.#closeSlow();
      return;
    }
    this.#send(message);
    this.#served = message.seq;
    if (message.endsSession) this.close(CLOSE.ended, "session ended");
  }

  /** The network has taken what the client had buffered: a waiting replay continues. */
  drained(): void {
    this.#wake();
  }

  /** Stops serving a client whose connection is gone. */
  detach(): void {
    if (this.#detached) return;
    this.#detached = true;
    this.#wake();
    this.#options.onDetach();
  }

  /** Stops serving the client and closes its connection. Without effect after `detach`. */
  close(code: number, reason: string): void {
    if (this.#detached) return;
    this.detach();
    this.#client.close(code, reason);
  }

  async #sendAll(messages: Message[]): Promise<void> {
    for (const message of messages) {
      await this.#untilDrained();
      if (this.#detached) return;
      this.#send(message);
    }
  }

  /** Applies back-pressure: a replay may be larger than the buffer. */
  async #untilDrained(): Promise<void> {
    while (!this.#detached && this.#client.bufferedBytes() > this.#options.maxBufferedBytes / 2) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
  }

  #send(message: Message): void {
    try {
      this.#client.send(message.text);
    } catch (error) {
      const context = { session_id: this.#options.sessionId, error: messageOf(error) };
      this.#options.logger.warn(context, "sending to a transcript client failed");
      this.close(CLOSE.failed, "write failed");
    }
  }

  #closeSlow(): void {
    const context = { session_id: this.#options.sessionId, served: this.#served };
    this.#options.logger.warn(context, "closed a transcript client that reads too slowly");
    this.close(CLOSE.tooSlow, "too slow, reconnect with after");
  }
}
