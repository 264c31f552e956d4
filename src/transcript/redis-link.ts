import { RedisClient } from "bun";
import type { Logger } from "pino";
import { Failure, messageOf } from "../errors.ts";

const CONNECT_TIMEOUT_MS = 5000;
/** The first and the longest wait before another attempt to connect. */
const RETRY_MS = { first: 50, longest: 3000 } as const;
/** A server that is silently gone is noticed when several pings went without an answer. */
const PING_EVERY_MS = 5000;
const SILENCE_MS = 16_000;

/** Two connections to Redis: one that is subscribed may send no other commands. */
export interface Connections {
  commands: RedisClient;
  subscriber: RedisClient;
  /** Channels that `subscriber` listens to; each promise settles when the server has agreed. */
  channels: Map<string, Promise<unknown>>;
}

interface LinkOptions {
  url: string;
  logger: Pick<Logger, "info" | "warn">;
  /** Called each time the link is there: what the server forgot is to be set up anew. */
  onUp: () => void;
}

/**
 * Keeps the connections to Redis. Bun's own reconnecting gives up after a while and forgets
 * subscriptions, so each attempt here is a new pair of clients. An outage is logged once.
 */
export class RedisLink implements Disposable {
  readonly #options: LinkOptions;
  readonly #logger: LinkOptions["logger"];
  readonly #server: string;
  #connections: Connections | undefined;
  /** Settles when the attempt under way does; never rejects. */
  #attempt: Promise<void>;
  #wait: number = RETRY_MS.first;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #pings: ReturnType<typeof setInterval> | undefined;
  /** Why the link is down, for those who need it; undefined while it is up. */
  #problem: unknown;
  #outageLogged = false;
  #closed = false;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#logger = options.logger;
    this.#server = withoutPassword(options.url);
    this.#attempt = this.#connect();
  }

  /** The connections while the link is up. */
  get current(): Connections | undefined {
    return this.#connections;
  }

  /**
   * The connections, after waiting for an attempt to connect that is under way.
   * @throws Failure `unavailable` while Redis cannot be reached
   */
  async connections(): Promise<Connections> {
    if (!this.#connections) await this.#attempt;
    if (this.#connections) return this.#connections;
    throw new Failure("unavailable", `Redis cannot be reached: ${messageOf(this.#problem)}`, {
      retryAfter: 5,
      cause: this.#problem,
    });
  }

  /** Gives `connections` up, because they failed or the server cannot serve, and tries anew. */
  fail(connections: Connections, error: unknown): void {
    if (this.#connections !== connections) return;
    this.#down(error);
  }

  /** Closes both connections and every timer. Again: nothing. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#disconnect();
    this.#problem ??= new Error("closed");
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #connect(): Promise<void> {
    const [commands, subscriber] = [this.#client(), this.#client()];
    const clients = [commands, subscriber];
    try {
      await Promise.all(clients.map((client) => client.connect()));
      if (this.#closed) throw new Error("closed");
    } catch (error) {
      for (const client of clients) client.close();
      this.#down(error);
      return;
    }
    const connections = { commands, subscriber, channels: new Map() };
    this.#connections = connections;
    for (const client of clients) {
      client.onclose = (error) => this.fail(connections, error);
    }
    this.#pings = setInterval(() => {
      this.#isStable();
      for (const client of clients) {
        // A ping that fails closes the connection, which is handled there.
        client.send("PING", []).catch(() => {});
      }
    }, PING_EVERY_MS);
    this.#pings.unref();
    this.#problem = undefined;
    this.#options.onUp();
  }

  /** Not before some seconds: a server that accepts and then fails counts as one long outage. */
  #isStable(): void {
    this.#wait = RETRY_MS.first;
    if (this.#outageLogged) this.#logger.info("Redis is back");
    this.#outageLogged = false;
  }

  #client(): RedisClient {
    return new RedisClient(this.#options.url, {
      autoReconnect: false,
      enableOfflineQueue: false,
      connectionTimeout: CONNECT_TIMEOUT_MS,
      idleTimeout: SILENCE_MS,
    });
  }

  #down(error: unknown): void {
    this.#disconnect();
    this.#problem = error;
    if (this.#closed) return;
    if (!this.#outageLogged) {
      const context = { server: this.#server, error: messageOf(error) };
      this.#logger.warn(context, "Redis is away: other nodes get transcripts once it is back");
      this.#outageLogged = true;
    }
    this.#retry = setTimeout(() => {
      this.#attempt = this.#connect();
    }, this.#wait);
    this.#retry.unref();
    this.#wait = Math.min(this.#wait * 2, RETRY_MS.longest);
  }

  #disconnect(): void {
    clearInterval(this.#pings);
    const connections = this.#connections;
    this.#connections = undefined;
    connections?.commands.close();
    connections?.subscriber.close();
  }
}

function withoutPassword(url: string): string {
  return url.replace(/\/\/[^/@]*@/, "//***@");
}
