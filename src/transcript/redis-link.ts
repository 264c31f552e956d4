import { RedisClient } from "bun";
import type { Logger } from "pino";
import { codeOf, Failure, messageOf } from "../errors.ts";
import { withDeadline } from "../lib/deadline.ts";

/** How long a connect, a command, or waiting for a connection may take, in ms. */
const DEADLINE_MS = 2000;
/** The back-off between two attempts to connect. */
const RETRY_MS = { first: 50, longest: 3000 } as const;
/** A server that vanished, or hangs, without closing the connection is noticed by a lost ping. */
const PING_EVERY_MS = 5000;
/** When a caller may try again, in s. */
const RETRY_AFTER_S = 5;

/** Error replies of a server that may serve later, unlike replies to a wrong command. */
const TEMPORARY_SERVER_ERROR =
  /^(LOADING|READONLY|OOM|MISCONF|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY|NOAUTH|NOPERM|NOREPLICAS)\b/;

/** Receives the messages of a channel. It must not throw, since Bun would end the process. */
export type ChannelListener = (text: string, channel: string) => void;

/** Two connections to Redis, since a subscribed one can send no other commands. */
interface Connections {
  commands: RedisClient;
  subscriber: RedisClient;
  /** The channels of `subscriber`; each promise settles when the server confirmed it. */
  channels: Map<string, Promise<unknown>>;
}

interface LinkOptions {
  url: string;
  logger: Pick<Logger, "info" | "warn">;
  pingEveryMs?: number;
}

/**
 * Keeps this node connected to Redis. Bun's own reconnection gives up after a while and forgets
 * subscriptions, so each attempt here uses a new pair of clients. An outage is logged once.
 */
export class RedisLink implements Disposable {
  readonly #options: LinkOptions;
  readonly #logger: LinkOptions["logger"];
  readonly #server: string;
  readonly #connectListeners: (() => void)[] = [];
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

  /** Connects in the background. */
  constructor(options: LinkOptions) {
    this.#options = options;
    this.#logger = options.logger;
    this.#server = withoutPassword(options.url);
    this.#attempt = this.#connect();
  }

  get isConnected(): boolean {
    return this.#connections !== undefined;
  }

  /** Calls `listener` after each connect. Subscriptions do not survive a reconnection. */
  onConnect(listener: () => void): void {
    this.#connectListeners.push(listener);
  }

  /**
   * Sends a command and resolves with its reply.
   * @throws Failure `unavailable` when Redis cannot be reached, hangs or cannot serve now; it is
   *   then connected anew. Redis's error when it refused the command
   */
  send(command: string, args: string[]): Promise<unknown> {
    return this.#run(({ commands }) => commands.send(command, args));
  }

  /** Subscribes to a channel; doing it again has no effect. Rejects as `send` does. */
  async subscribe(channel: string, listener: ChannelListener): Promise<void> {
    await this.#run(({ channels, subscriber }) => {
      // Bun would call a listener once for each time it was subscribed.
      const subscribed = channels.get(channel) ?? subscriber.subscribe(channel, listener);
      channels.set(channel, subscribed);
      return subscribed;
    });
  }

  /** Ends the subscription to a channel, if there is one. Rejects as `send` does. */
  async unsubscribe(channel: string): Promise<void> {
    if (!this.#connections?.channels.has(channel)) return;
    await this.#run(async ({ channels, subscriber }) => {
      if (channels.delete(channel)) await subscriber.unsubscribe(channel);
    });
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

  async #run<T>(work: (connections: Connections) => Promise<T>): Promise<T> {
    const connections = await this.#connected();
    try {
      return await withDeadline(work(connections), DEADLINE_MS, "an answer of Redis");
    } catch (error) {
      if (isRefusal(error)) throw error;
      // A late error of an earlier connection must not break the one that replaced it.
      if (this.#connections === connections) this.#disconnected(error);
      throw unreachable(error);
    }
  }

  /** The connections, after waiting for the current attempt to connect. */
  async #connected(): Promise<Connections> {
    if (!this.#connections && !this.#closed) {
      await withDeadline(this.#attempt, DEADLINE_MS, "connecting to Redis").catch(() => {});
    }
    if (this.#connections) return this.#connections;
    throw unreachable(this.#lastError ?? new Error("it does not answer"));
  }

  async #connect(): Promise<void> {
    const [commands, subscriber] = [this.#client(), this.#client()];
    const clients = [commands, subscriber];
    try {
      const connected = Promise.all(clients.map((client) => client.connect()));
      await withDeadline(connected, DEADLINE_MS, "connecting to Redis");
      if (this.#closed) throw new Error("closed");
    } catch (error) {
      for (const client of clients) client.close();
      this.#disconnected(error);
      return;
    }
    const connections = { commands, subscriber, channels: new Map() };
    this.#connections = connections;
    const lost = (error: unknown) => {
      if (this.#connections === connections) this.#disconnected(error);
    };
    for (const client of clients) client.onclose = lost;
    this.#pingTimer = setInterval(() => {
      this.#markStable();
      for (const client of clients) {
        withDeadline(client.send("PING", []), DEADLINE_MS, "a ping of Redis").catch(lost);
      }
    }, this.#options.pingEveryMs ?? PING_EVERY_MS);
    this.#pingTimer.unref();
    this.#lastError = undefined;
    for (const listener of this.#connectListeners) listener();
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
      connectionTimeout: DEADLINE_MS,
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

/** Whether Redis is there and refused this command. */
function isRefusal(error: unknown): boolean {
  if (codeOf(error) !== "ERR_REDIS_SERVER_ERROR") return false;
  return !TEMPORARY_SERVER_ERROR.test(messageOf(error));
}

function unreachable(cause: unknown): Failure {
  return new Failure("unavailable", `Redis cannot be reached: ${messageOf(cause)}`, {
    retryAfter: RETRY_AFTER_S,
    cause,
  });
}

function withoutPassword(url: string): string {
  return url.replace(/\/\/[^/@]*@/, "//***@");
}
