import type { Logger } from "pino";
import type { EventLog, SessionPosition } from "../domain/stores.ts";
import type { Envelope } from "../domain/transcript.ts";
import { codeOf, Failure, messageOf } from "../errors.ts";
import { type ChannelLayer, type EnvelopeListener, Listeners } from "./channel-layer.ts";
import { RedisFeed } from "./redis-feed.ts";
import { type Connections, RedisLink } from "./redis-link.ts";
import { RedisOutbox } from "./redis-outbox.ts";
import {
  appendToStream,
  channelOf,
  parseEnvelope,
  readStream,
  streamPosition,
} from "./redis-streams.ts";

/** How long closing waits for the remaining events to reach Redis, in ms. */
const FLUSH_MS = 2000;

/** Error replies of a server that may serve later, unlike replies to a wrong command. */
const TEMPORARY_SERVER_ERROR =
  /^(LOADING|READONLY|OOM|MISCONF|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY|NOAUTH|NOPERM|NOREPLICAS)\b/;

interface RedisLayerOptions {
  url: string;
  log: Pick<EventLog, "read" | "position">;
  logger: Pick<Logger, "info" | "warn" | "error">;
}

interface Feed {
  feed: RedisFeed;
  /** Settles when the feed has caught up with the stream, or Redis is unreachable. */
  opened: Promise<void>;
}

/**
 * The channel layer of several instances. Each session has a Redis stream for replay and a pub/sub
 * channel for live events. The node that runs a session serves its own clients from its own log,
 * so they do not depend on Redis.
 */
export class RedisChannelLayer implements ChannelLayer {
  readonly #log: RedisLayerOptions["log"];
  readonly #logger: RedisLayerOptions["logger"];
  readonly #listeners: Listeners;
  readonly #feeds = new Map<string, Feed>();
  readonly #link: RedisLink;
  readonly #outbox: RedisOutbox;

  /** Connects in the background; `ping` reports the outcome. */
  constructor(options: RedisLayerOptions) {
    this.#log = options.log;
    this.#logger = options.logger;
    this.#listeners = new Listeners(options.logger);
    this.#outbox = new RedisOutbox({
      log: options.log,
      logger: options.logger,
      isConnected: () => this.#link.current !== undefined,
      append: async (sessionId, expected, envelopes) => {
        const { commands } = await this.#link.connections();
        return appendToStream(commands, sessionId, expected, envelopes);
      },
      onError: (error) => this.#handleOutage(error),
    });
    this.#link = new RedisLink({
      url: options.url,
      logger: options.logger,
      onConnect: () => this.#resume(),
    });
  }

  publish(envelope: Envelope): void {
    this.#feeds.get(envelope.session_id)?.feed.deliverOwn(envelope);
    this.#outbox.push(envelope);
  }

  async subscribe(sessionId: string, listener: EnvelopeListener): Promise<() => Promise<void>> {
    const remove = this.#listeners.add(sessionId, listener);
    // A session that runs here is served from the log, without waiting for Redis.
    const isOwn = this.#log.position(sessionId).seq > 0;
    const { opened } = this.#feeds.get(sessionId) ?? this.#addFeed(sessionId);
    if (!isOwn) await opened;
    return async () => {
      if (!remove()) return;
      this.#feeds.delete(sessionId);
      await this.#unsubscribe(channelOf(sessionId));
    };
  }

  async read(sessionId: string, after: number, limit = Infinity): Promise<Envelope[]> {
    // The log of the node that runs a session is complete even while Redis is unreachable.
    if (this.#log.position(sessionId).seq > 0) {
      return this.#log.read(sessionId, after, limit === Infinity ? undefined : limit);
    }
    const { commands } = await this.#link.connections();
    const delivered = this.#feeds.get(sessionId)?.feed.newest ?? 0;
    const found = await orUnavailable(readStream(commands, sessionId, after, limit));
    if (found.length < limit && delivered > Math.max(after, found.at(-1)?.seq ?? 0)) {
      // Redis lost its data in a restart, and the session's own node is filling it again.
      throw new Failure("unavailable", "Redis is being refilled after a restart", {
        retryAfter: 1,
      });
    }
    return found;
  }

  async position(sessionId: string): Promise<SessionPosition> {
    const own = this.#log.position(sessionId);
    if (own.seq > 0) return own;
    const { commands } = await this.#link.connections();
    return orUnavailable(streamPosition(commands, sessionId));
  }

  async ping(): Promise<void> {
    const { commands } = await this.#link.connections();
    await orUnavailable(commands.send("PING", []));
  }

  /** What this node keeps; both are 0 once every session has ended and every client has left. */
  get counts(): { feeds: number; outgoing: number } {
    return { feeds: this.#feeds.size, outgoing: this.#outbox.sessionCount };
  }

  /** Sends what still waits, for at most 2 s, and closes both connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { promise: timeout, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, FLUSH_MS);
    await Promise.race([this.#outbox.idle(), timeout]);
    clearTimeout(timer);
    this.#link.close();
    this.#listeners.clear();
    this.#feeds.clear();
  }

  #addFeed(sessionId: string): Feed {
    const newest = this.#log.position(sessionId).seq;
    const feed = new RedisFeed(
      {
        deliver: (envelope) => this.#listeners.call(envelope),
        open: async () => {
          const connections = await this.#link.connections();
          if (this.#feeds.get(sessionId) !== entry) return 0;
          await this.#subscribeTo(connections, channelOf(sessionId));
          return (await streamPosition(connections.commands, sessionId)).seq;
        },
        read: async (after) => {
          const { commands } = await this.#link.connections();
          return readStream(commands, sessionId, after);
        },
      },
      newest > 0 ? newest : undefined,
    );
    const entry = { feed, opened: Promise.resolve() };
    this.#feeds.set(sessionId, entry);
    entry.opened = feed.open().catch((error: unknown) => this.#feedFailed(error));
    return entry;
  }

  async #subscribeTo({ channels, subscriber }: Connections, channel: string): Promise<void> {
    // Bun would call a listener once for each time it was subscribed.
    const subscribed = channels.get(channel) ?? subscriber.subscribe(channel, this.#onMessage);
    channels.set(channel, subscribed);
    await subscribed;
  }

  async #unsubscribe(channel: string): Promise<void> {
    const connections = this.#link.current;
    if (!connections?.channels.delete(channel)) return;
    try {
      await connections.subscriber.unsubscribe(channel);
    } catch (error) {
      this.#feedFailed(error);
    }
  }

  /** The listener of every channel. It must not throw, since Bun would end the process. */
  readonly #onMessage = (text: string, channel: string): void => {
    const envelope = parseEnvelope(text);
    if (!envelope || channelOf(envelope.session_id) !== channel) {
      this.#logger.warn(
        { channel, bytes: text.length },
        "ignored an invalid message on a Redis channel",
      );
      return;
    }
    const { feed } = this.#feeds.get(envelope.session_id) ?? {};
    feed?.receive(envelope).catch((error: unknown) => this.#feedFailed(error));
  };

  #resume(): void {
    this.#outbox.resume();
    for (const entry of this.#feeds.values()) {
      entry.opened = entry.feed.open().catch((error: unknown) => this.#feedFailed(error));
    }
  }

  #feedFailed(error: unknown): void {
    if (this.#handleOutage(error)) return;
    this.#logger.error({ error: messageOf(error) }, "unexpected error from Redis");
  }

  /**
   * Reconnects if the connection or the server failed.
   * @returns whether it did, so that a later attempt may succeed
   */
  #handleOutage(error: unknown): boolean {
    if (error instanceof Failure) return true;
    const code = codeOf(error) ?? "";
    if (!code.startsWith("ERR_REDIS_")) return false;
    if (code === "ERR_REDIS_SERVER_ERROR" && !TEMPORARY_SERVER_ERROR.test(messageOf(error)))
      return false;
    if (this.#link.current) this.#link.fail(this.#link.current, error);
    return true;
  }
}

/** A connection that breaks during a command counts as unavailable, as if it had not existed. */
async function orUnavailable<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw new Failure("unavailable", `Redis cannot be reached: ${messageOf(error)}`, {
      retryAfter: 5,
      cause: error,
    });
  }
}
