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

/**
 * The channel layer of several Parleys: a Redis stream per session for replay, a pub/sub channel
 * per session for what is live. Clients of the node that runs a session are served from its own
 * log and at once, whether Redis is there or not.
 */
export class RedisChannelLayer implements ChannelLayer {
  readonly #log: RedisLayerOptions["log"];
  readonly #logger: RedisLayerOptions["logger"];
  readonly #listeners: Listeners;
  readonly #feeds = new Map<string, RedisFeed>();
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
    const feed = this.#feeds.get(envelope.session_id);
    feed?.publishedHere(envelope);
    this.#outbox.push(envelope);
  }

  async subscribe(sessionId: string, listener: EnvelopeListener): Promise<() => Promise<void>> {
    const remove = this.#listeners.add(sessionId, listener);
    const known = this.#feeds.get(sessionId);
    if (known) await known.open().catch((error: unknown) => this.#failed(error));
    else await this.#openFeed(sessionId);
    return async () => {
      if (!remove()) return;
      this.#feeds.delete(sessionId);
      await this.#link.current?.subscriber
        .unsubscribe(channelOf(sessionId))
        .catch((error: unknown) => this.#failed(error));
    };
  }

  async read(sessionId: string, after: number): Promise<Envelope[]> {
    // The log of the node that runs a session is complete even while Redis is away.
    if (this.#log.position(sessionId).seq > 0) return this.#log.read(sessionId, after);
    const { commands } = await this.#link.connections();
    return unlessLost(readStream(commands, sessionId, after));
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

  async #openFeed(sessionId: string): Promise<void> {
    const channel = channelOf(sessionId);
    const own = this.#log.position(sessionId).seq;
    const feed = new RedisFeed(
      {
        deliver: (envelope) => this.#listeners.call(envelope),
        open: async () => {
          const { commands, subscriber } = await this.#link.connections();
          await subscriber.subscribe(channel, this.#onMessage);
          return (await streamPosition(commands, sessionId)).seq;
        },
        read: async (after) => {
          const { commands } = await this.#link.connections();
          return readStream(commands, sessionId, after);
        },
      },
      own > 0 ? own : undefined,
    );
    this.#feeds.set(sessionId, feed);
    const opened = feed.open().catch((error: unknown) => this.#failed(error));
    // Clients of a session that runs here need not wait for Redis.
    if (own === 0) await opened;
  }

  /** One function for every channel. It may not throw: Bun would end the process. */
  readonly #onMessage = (text: string, channel: string): void => {
    const envelope = readEnvelope(text);
    if (!envelope || channelOf(envelope.session_id) !== channel) {
      this.#logger.warn({ channel, bytes: text.length }, "ignored a foreign message in Redis");
      return;
    }
    const feed = this.#feeds.get(envelope.session_id);
    feed?.announced(envelope).catch((error: unknown) => this.#failed(error));
  };

  #resume(): void {
    this.#outbox.resume();
    for (const feed of this.#feeds.values()) {
      feed.open().catch((error: unknown) => this.#failed(error));
    }
  }

  /** @returns whether the trouble is the link's or the server's, so that it may pass */
  #failed(error: unknown): boolean {
    if (error instanceof Failure) return true;
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    const trouble = SERVER_TROUBLE.test(messageOf(error));
    if (code === "ERR_REDIS_SERVER_ERROR" && !trouble) return false;
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
