import { RedisClient } from "bun";
import type { Logger } from "pino";
import { Failure, messageOf } from "../errors.ts";

const CONNECT_TIMEOUT_MS = 5000;
/** The back-off between two attempts to connect. */
const RETRY_MS = { first: 50, longest: 3000 } as const;
/** A server that vanished without closing the connection is noticed after several lost pings. */
const PING_EVERY_MS = 5000;
const IDLE_TIMEOUT_MS = 16_000;

/** Two connections to Redis, since a subscribed one can send no other commands. */
export interface Connections {
  commands: RedisClient;
  subscriber: RedisClient;
  /** The channels of `subscriber`; each promise settles when the server confirmed it. */
  channels: Map<string, Promise<unknown>>;
}

interface LinkOptions {
  url: string;
  logger: Pick<Logger, "info" | "warn">;
  /** Called after each connect: subscriptions do not survive a reconnection. */
  onConnect: () => void;
}

/**
 * Keeps this node connected to Redis. Bun's own reconnection gives up after a while and forgets
 * subscriptions, so each attempt here uses a new pair of clients. An outage is logged once.
 */
export class RedisLink implements Disposable {
  readonly #options: LinkOptions;
  readonly #logger: LinkOptions["logger"];
  readonly #server: string;
  #connections: Connections | undefined;
  /** Settles when the current attempt to connect does; never rejects. */
  #attempt: Promise<void>;
  #retryMs: number = RETRY_MS.first;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #pingTimer: ReturnType<typeof setInterval> | undefined;
  /** Why Redis is unreachable; undefined while it is connected. */
  #lastError: unknown;
  #outageLogged = false;
  #closed = false;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#logger = options.logger;
    this.#server = withoutPassword(options.url);
    this.#attempt = this.#connect();
  }

  /** The connections, undefined while Redis is unreachable. */
  get current(): Connections | undefined {
    return this.#connections;
  }

  /**
   * The connections, after waiting for the current attempt to connect.
   * @throws Failure `unavailable` while Redis is unreachable
   */
  async connections(): Promise<Connections> {
    if (!this.#connections) await this.#attempt;
    if (this.#connections) return this.#connections;
    throw new Failure("unavailable", `Redis cannot be reached: ${messageOf(this.#lastError)}`, {
      retryAfter: 5,
      cause: this.#lastError,
    });
  }

  /** Drops `connections`, since they failed or the server cannot serve, and connects again. */
  fail(connections: Connections, error: unknown): void {
    if (this.#connections !== connections) return;
    this.#disconnected(error);
  }

  /** Closes both connections and stops every timer. Calling it again has no effect. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#retryTimer);
    this.#disconnect();
    this.#lastError ??= new Error("closed");
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
      this.#disconnected(error);
      return;
    }
    const connections = { commands, subscriber, channels: new Map() };
    this.#connections = connections;
    for (const client of clients) {
      client.onclose = (error) => this.fail(connections, error);
    }
    this.#pingTimer = setInterval(() => {
      this.#markStable();
      for (const client of clients) {
        // A failed ping closes the connection, and `onclose` handles that.
        client.send("PING", []).catch(() => {});
      }
    }, PING_EVERY_MS);
    this.#pingTimer.unref();
    this.#lastError = undefined;
    this.#options.onConnect();
  }

  /**
   * Ends an outage. Called some seconds after connecting, so that a server that accepts connections
   * and then drops them counts as one long outage.
   */
  #markStable(): void {
    this.#retryMs = RETRY_MS.first;
    if (this.#outageLogged) this.#logger.info("reconnected to Redis");
    this.#outageLogged = false;
  }

  #client(): RedisClient {
    return new RedisClient(this.#options.url, {
      autoReconnect: false,
      enableOfflineQueue: false,
      connectionTimeout: CONNECT_TIMEOUT_MS,
      idleTimeout: IDLE_TIMEOUT_MS,
    });
  }

  #disconnected(error: unknown): void {
    this.#disconnect();
    this.#lastError = error;
    if (this.#closed) return;
    if (!this.#outageLogged) {
      const context = { server: this.#server, error: messageOf(error) };
      this.#logger.warn(
        context,
        "Redis is unreachable; other nodes get transcripts once it is back",
      );
      this.#outageLogged = true;
    }
    this.#retryTimer = setTimeout(() => {
      this.#attempt = this.#connect();
    }, this.#retryMs);
    this.#retryTimer.unref();
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS.longest);
  }

  #disconnect(): void {
    clearInterval(this.#pingTimer);
    const connections = this.#connections;
    this.#connections = undefined;
    connections?.commands.close();
    connections?.subscriber.close();
  }
}

function withoutPassword(url: string): string {
  return url.replace(/\/\/[^/@]*@/, "//***@");
}
