import type { Logger } from "pino";
import type { Envelope, EventLog, SessionPosition } from "../domain/transcript.ts";
import { Failure, messageOf } from "../errors.ts";
import type { ChannelLayer, EnvelopeListener } from "./channel-layer.ts";
import { Listeners } from "./local.ts";
import { RedisFeed } from "./redis-feed.ts";
import { type Connections, RedisLink } from "./redis-link.ts";
import { RedisOutbox } from "./redis-outbox.ts";
import {
  addToStream,
  channelOf,
  readEnvelope,
  readStream,
  streamPosition,
} from "./redis-streams.ts";

/** How long closing waits for the last events to reach Redis, ms. */
const FLUSH_MS = 2000;

/** Answers of a server that cannot serve now but may later, unlike those to a wrong command. */
const SERVER_TROUBLE =
  /^(LOADING|READONLY|OOM|MISCONF|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY|NOAUTH|NOPERM|NOREPLICAS)\b/;

interface RedisLayerOptions {
  url: string;
  log: Pick<EventLog, "read" | "position">;
  logger: Pick<Logger, "info" | "warn" | "error">;
}

interface Feed {
  feed: RedisFeed;
  /** Settles when the feed has what Redis had, or Redis turned out to be away. */
  opened: Promise<void>;
}

/**
 * The channel layer of several Parleys: a Redis stream per session for replay, a pub/sub channel
 * per session for what is live. Clients of the node that runs a session are served from its own
 * log and at once, whether Redis is there or not.
 */
export class RedisChannelLayer implements ChannelLayer {
  readonly #log: RedisLayerOptions["log"];
  readonly #logger: RedisLayerOptions["logger"];
  readonly #listeners: Listeners;
  readonly #feeds = new Map<string, Feed>();
  readonly #link: RedisLink;
  readonly #outbox: RedisOutbox;

  /** Connects in the background; `ping` tells how that went. */
  constructor(options: RedisLayerOptions) {
    this.#log = options.log;
    this.#logger = options.logger;
    this.#listeners = new Listeners(options.logger);
    this.#outbox = new RedisOutbox({
      log: options.log,
      logger: options.logger,
      isUp: () => this.#link.current !== undefined,
      send: async (sessionId, expected, entries) => {
        const { commands } = await this.#link.connections();
        return addToStream(commands, sessionId, expected, entries);
      },
      onError: (error) => this.#failed(error),
    });
    this.#link = new RedisLink({
      url: options.url,
      logger: options.logger,
      onUp: () => this.#resume(),
    });
  }

  publish(envelope: Envelope): void {
    this.#feeds.get(envelope.session_id)?.feed.publishedHere(envelope);
    this.#outbox.push(envelope);
  }

  async subscribe(sessionId: string, listener: EnvelopeListener): Promise<() => Promise<void>> {
    const remove = this.#listeners.add(sessionId, listener);
    // Clients of a session that runs here need not wait for Redis.
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
    // The log of the node that runs a session is complete even while Redis is away.
    if (this.#log.position(sessionId).seq > 0) {
      return this.#log.read(sessionId, after, limit === Infinity ? undefined : limit);
    }
    const { commands } = await this.#link.connections();
    const heard = this.#feeds.get(sessionId)?.feed.newest ?? 0;
    const found = await unlessLost(readStream(commands, sessionId, after, limit));
    if (found.length < limit && heard > Math.max(after, found.at(-1)?.seq ?? 0)) {
      // Redis came back without what it had; the session's own node is filling it again.
      throw new Failure("unavailable", "Redis is being filled again", { retryAfter: 1 });
    }
    return found;
  }

  async position(sessionId: string): Promise<SessionPosition> {
    const own = this.#log.position(sessionId);
    if (own.seq > 0) return own;
    const { commands } = await this.#link.connections();
    return unlessLost(streamPosition(commands, sessionId));
  }

  async ping(): Promise<void> {
    const { commands } = await this.#link.connections();
    await unlessLost(commands.send("PING", []));
  }

  /** What this node looks after; both are 0 once every session has ended and client has gone. */
  get counts(): { feeds: number; outgoing: number } {
    return { feeds: this.#feeds.size, outgoing: this.#outbox.sessionCount };
  }

  /** Sends what still waits, at most for 2 s, and closes both connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, FLUSH_MS);
    await Promise.race([this.#outbox.idle(), late]);
    clearTimeout(timer);
    this.#link.close();
    this.#listeners.clear();
    this.#feeds.clear();
  }

  #addFeed(sessionId: string): Feed {
    const own = this.#log.position(sessionId).seq;
    const feed = new RedisFeed(
      {
        deliver: (envelope) => this.#listeners.call(envelope),
        open: async () => {
          const connections = await this.#link.connections();
          if (this.#feeds.get(sessionId) !== entry) return 0;
          await this.#listen(connections, channelOf(sessionId));
          return (await streamPosition(connections.commands, sessionId)).seq;
        },
        read: async (after) => {
          const { commands } = await this.#link.connections();
          return readStream(commands, sessionId, after);
        },
      },
      own > 0 ? own : undefined,
    );
    const entry = { feed, opened: Promise.resolve() };
    this.#feeds.set(sessionId, entry);
    entry.opened = feed.open().catch((error: unknown) => this.#feedFailed(error));
    return entry;
  }

  async #listen({ channels, subscriber }: Connections, channel: string): Promise<void> {
    // Bun would call a listener as often as it was subscribed.
    const agreed = channels.get(channel) ?? subscriber.subscribe(channel, this.#onMessage);
    channels.set(channel, agreed);
    await agreed;
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

  /** One function for every channel. It may not throw: Bun would end the process. */
  readonly #onMessage = (text: string, channel: string): void => {
    const envelope = readEnvelope(text);
    if (!envelope || channelOf(envelope.session_id) !== channel) {
      this.#logger.warn({ channel, bytes: text.length }, "ignored a foreign message in Redis");
      return;
    }
    const { feed } = this.#feeds.get(envelope.session_id) ?? {};
    feed?.announced(envelope).catch((error: unknown) => this.#feedFailed(error));
  };

  #resume(): void {
    this.#outbox.resume();
    for (const entry of this.#feeds.values()) {
      entry.opened = entry.feed.open().catch((error: unknown) => this.#feedFailed(error));
    }
  }

  #feedFailed(error: unknown): void {
    if (this.#failed(error)) return;
    this.#logger.error({ error: messageOf(error) }, "Redis answered unexpectedly");
  }

  /** @returns whether the trouble is the link's or the server's, so that it may pass */
  #failed(error: unknown): boolean {
    if (error instanceof Failure) return true;
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (!code.startsWith("ERR_REDIS_")) return false;
    if (code === "ERR_REDIS_SERVER_ERROR" && !SERVER_TROUBLE.test(messageOf(error))) return false;
    if (this.#link.current) this.#link.fail(this.#link.current, error);
    return true;
  }
}

/** A link lost in the middle of a command is as if it had not been there. */
async function unlessLost<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw new Failure("unavailable", `Redis cannot be reached: ${messageOf(error)}`, {
      retryAfter: 5,
      cause: error,
    });
  }
}
