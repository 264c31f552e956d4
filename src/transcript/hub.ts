import { setImmediate } from "node:timers/promises";
import type { Logger } from "pino";
import type { SessionPosition } from "../domain/stores.ts";
import { messageOf } from "../errors.ts";
import type { ChannelLayer } from "./channel-layer.ts";
import { CLOSE, type HubClient, type Message, messageFrom, Subscriber } from "./subscriber.ts";

const MAX_BUFFERED_BYTES = 1024 * 1024;
/** Envelopes read at once. It takes a few ms, too short to interrupt the agent's audio. */
const PAGE_SIZE = 1000;

/** The local subscribers of one session, which share a subscription to the channel layer. */
interface Group {
  sessionId: string;
  subscribers: Set<Subscriber>;
  /** Resolves to the function that ends the layer's subscription. */
  subscription: Promise<() => Promise<void>>;
  /** The newest snapshot; clients that come before the next event share it. */
  snapshot?: { at: number; content: Promise<Snapshot> };
}

/** The messages with which a new client begins, and the position that they lead to. */
interface Snapshot extends SessionPosition {
  messages: Message[];
}

interface HubOptions {
  layer: ChannelLayer;
  logger: Pick<Logger, "warn" | "error">;
  /** A client is too slow when more than this waits for it, in bytes. */
  maxBufferedBytes?: number;
}

/**
 * Serves the events of sessions to any number of clients: the past first, then live events, without
 * gap or duplicate. A slow client never delays another.
 */
export class Hub implements AsyncDisposable {
  readonly #layer: ChannelLayer;
  readonly #logger: HubOptions["logger"];
  readonly #maxBufferedBytes: number;
  readonly #groups = new Map<string, Group>();
  readonly #subscribers = new Map<HubClient, Subscriber>();
  readonly #unsubscribing = new Set<Promise<void>>();
  #closed = false;

  constructor(options: HubOptions) {
    this.#layer = options.layer;
    this.#logger = options.logger;
    this.#maxBufferedBytes = options.maxBufferedBytes ?? MAX_BUFFERED_BYTES;
  }

  get connectionCount(): number {
    return this.#subscribers.size;
  }

  /** Sessions that have local clients. */
  get groupCount(): number {
    return this.#groups.size;
  }

  /** Whether a session of this id exists, here or on another node. */
  async has(sessionId: string): Promise<boolean> {
    return (await this.#layer.position(sessionId)).seq > 0;
  }

  /**
   * Serves a client until it disconnects, the session ends (close 1000) or it is too slow (1013).
   * Resolves when the client is live or closed; failures close it with 1011 and are logged.
   *
   * @param after replay every envelope after this `seq`; undefined: begin with a snapshot. So does
   *   a client that asks for more than there is, since it knows a log that has lost its tail, as
   *   after a restored backup
   */
  async connect(client: HubClient, sessionId: string, after?: number): Promise<void> {
    if (this.#closed) return client.close(CLOSE.goingAway, "shutting down");
    const group = this.#groups.get(sessionId) ?? this.#openGroup(sessionId);
    const subscriber = new Subscriber({
      client,
      sessionId,
      logger: this.#logger,
      maxBufferedBytes: this.#maxBufferedBytes,
      onDetach: () => this.#remove(client, subscriber, group),
    });
    group.subscribers.add(subscriber);
    this.#subscribers.set(client, subscriber);
    try {
      await group.subscription;
      // The position comes first: a session that has ended by now is then read to its end.
      const { seq, ended } = await this.#layer.position(sessionId);
      if (after === undefined || after > seq) {
        const snapshot = await this.#snapshot(group, seq);
        await subscriber.replay([snapshot.messages], snapshot);
      } else {
        await subscriber.replay(this.#pages(sessionId, after), { seq: after, ended });
      }
    } catch (error) {
      const context = { session_id: sessionId, error: messageOf(error) };
      this.#logger.error(context, "replaying a transcript failed");
      subscriber.close(CLOSE.failed, "replay failed, try again");
    }
  }

  /** Forgets a client whose connection is gone. Does nothing if the client is unknown. */
  disconnect(client: HubClient): void {
    this.#subscribers.get(client)?.detach();
  }

  /** To be called when the network has taken what a client had buffered: its replay continues. */
  drained(client: HubClient): void {
    this.#subscribers.get(client)?.drained();
  }

  /** Closes every client with 1001 and ends every subscription. The layer stays open. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const subscriber of [...this.#subscribers.values()]) {
      subscriber.close(CLOSE.goingAway, "shutting down");
    }
    await Promise.all(this.#unsubscribing);
  }

  #openGroup(sessionId: string): Group {
    const subscribers = new Set<Subscriber>();
    // Subscribing comes before reading, so that no event falls between replay and live.
    const subscription = this.#layer.subscribe(sessionId, (envelope) => {
      const message = messageFrom(envelope);
      for (const subscriber of [...subscribers]) subscriber.deliver(message);
    });
    const group: Group = { sessionId, subscribers, subscription };
    this.#groups.set(sessionId, group);
    return group;
  }

  /** The messages of a session after a `seq`. Between two pages, other work gets its turn. */
  async *#pages(sessionId: string, after: number): AsyncGenerator<Message[]> {
    for (let from = after; ; await setImmediate()) {
      const page = await this.#layer.read(sessionId, from, PAGE_SIZE);
      yield page.map(messageFrom);
      const newest = page.at(-1);
      if (page.length < PAGE_SIZE || newest === undefined) return;
      from = newest.seq;
    }
  }

  /** A snapshot that tells at least what the session was `at` that `seq`. */
  #snapshot(group: Group, at: number): Promise<Snapshot> {
    if (group.snapshot?.at === at) return group.snapshot.content;
    const content = this.#readSnapshot(group.sessionId);
    group.snapshot = { at, content };
    content.catch(() => delete group.snapshot);
    return content;
  }

  async #readSnapshot(sessionId: string): Promise<Snapshot> {
    const { seq, ended, events } = await this.#layer.snapshot(sessionId);
    return { seq, ended, messages: events.map(messageFrom) };
  }

  #remove(client: HubClient, subscriber: Subscriber, group: Group): void {
    if (this.#subscribers.get(client) === subscriber) this.#subscribers.delete(client);
    group.subscribers.delete(subscriber);
    if (group.subscribers.size > 0 || this.#groups.get(group.sessionId) !== group) return;
    this.#groups.delete(group.sessionId);
    const done = this.#unsubscribe(group).finally(() => this.#unsubscribing.delete(done));
    this.#unsubscribing.add(done);
  }

  async #unsubscribe(group: Group): Promise<void> {
    try {
      const end = await group.subscription;
      await end();
    } catch (error) {
      const context = { session_id: group.sessionId, error: messageOf(error) };
      this.#logger.warn(context, "ending a transcript subscription failed");
    }
  }
}
