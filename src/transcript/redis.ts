import type { Logger } from "pino";
import type { EndReason } from "../domain/session.ts";
import type { EventLog, SessionPosition } from "../domain/stores.ts";
import { type Envelope, isSessionEnd } from "../domain/transcript.ts";
import { Failure, messageOf } from "../errors.ts";
import { withDeadline } from "../lib/deadline.ts";
import { type ChannelLayer, type EnvelopeListener, Listeners } from "./channel-layer.ts";
import { RecentLog, type SessionSnapshot } from "./recent-log.ts";
import { RedisFeed } from "./redis-feed.ts";
import type { RedisLink } from "./redis-link.ts";
import { RedisOutbox } from "./redis-outbox.ts";
import {
  appendToStream,
  channelOf,
  discardStream,
  endStream,
  parseEnvelope,
  readStream,
  type Send,
  streamPosition,
} from "./redis-streams.ts";
import { snapshotOf } from "./snapshot.ts";

/** How long closing waits for the remaining events to reach Redis, in ms. */
const FLUSH_MS = 700;

interface RedisLayerOptions {
  link: RedisLink;
  log: EventLog;
  logger: Pick<Logger, "info" | "warn" | "error">;
  /** Other nodes have ended a session of this node: it must end here too. */
  onEndedElsewhere?: (sessionId: string) => void;
}

interface Feed {
  feed: RedisFeed;
  /** Settles when the feed has caught up with the stream, or Redis is unreachable. */
  opened: Promise<void>;
}

/**
 * The channel layer of several instances. Each session has Redis streams for replay and a pub/sub
 * channel for live events. The node that runs a session serves its own clients from its own log,
 * so they do not depend on Redis.
 */
export class RedisChannelLayer implements ChannelLayer {
  readonly #log: RecentLog;
  readonly #logger: RedisLayerOptions["logger"];
  readonly #listeners: Listeners;
  readonly #feeds = new Map<string, Feed>();
  readonly #link: RedisLink;
  readonly #outbox: RedisOutbox;
  readonly #send: Send;

  constructor(options: RedisLayerOptions) {
    const { link, logger } = options;
    this.#log = new RecentLog(options.log);
    this.#logger = logger;
    this.#listeners = new Listeners(logger);
    this.#link = link;
    this.#send = (command, args) => link.send(command, args);
    this.#outbox = new RedisOutbox({
      logger,
      read: (...of) => this.#log.read(...of),
      isConnected: () => link.isConnected,
      append: (...of) => appendToStream(this.#send, ...of),
      discard: (...of) => discardStream(this.#send, ...of),
      end: (sessionId) => endStream(this.#send, sessionId, "crashed"),
      onEndedElsewhere: (sessionId) => options.onEndedElsewhere?.(sessionId),
    });
    link.onConnect(() => this.resume());
  }

  publish(envelope: Envelope): void {
    this.#log.add(envelope);
    this.#feeds.get(envelope.session_id)?.feed.deliverOwn(envelope);
    // The log no longer knows a session that could not start.
    const isDiscarded = isSessionEnd(envelope) && !this.#isOwn(envelope.session_id);
    if (isDiscarded) this.#outbox.discard(envelope);
    else this.#outbox.push(envelope);
  }

  async subscribe(sessionId: string, listener: EnvelopeListener): Promise<() => Promise<void>> {
    const remove = this.#listeners.add(sessionId, listener);
    const { opened } = this.#feeds.get(sessionId) ?? this.#addFeed(sessionId);
    // A session that runs here is served from the log, without waiting for Redis.
    if (!this.#isOwn(sessionId)) await opened;
    return async () => {
      if (!remove()) return;
      this.#feeds.delete(sessionId);
      await this.#link.unsubscribe(channelOf(sessionId)).catch(this.#feedFailed);
    };
  }

  async read(sessionId: string, after: number, limit = Infinity): Promise<Envelope[]> {
    // The log of the node that runs a session is complete even while Redis is unreachable.
    if (this.#isOwn(sessionId)) {
      return this.#log.read(sessionId, after, limit);
    }
    return this.#unlessRefilled(sessionId, async () => {
      const found = await readStream(this.#send, sessionId, after, limit);
      return { found, upTo: found.length < limit ? (found.at(-1)?.seq ?? after) : Infinity };
    });
  }

  async position(sessionId: string): Promise<SessionPosition> {
    const own = this.#log.position(sessionId);
    if (own.seq > 0) return own;
    return this.#unlessRefilled(sessionId, async () => {
      const found = await streamPosition(this.#send, sessionId);
      return { found, upTo: found.seq };
    });
  }

  async snapshot(sessionId: string): Promise<SessionSnapshot> {
    if (this.#isOwn(sessionId)) return this.#log.snapshot(sessionId);
    const past = await this.read(sessionId, 0);
    const seq = past.at(-1)?.seq ?? 0;
    return { seq, ended: past.some(isSessionEnd), events: snapshotOf(past) };
  }

  async ping(): Promise<void> {
    await this.#send("PING", []);
  }

  /** To be called when Redis has lost its data: it is filled again. */
  resume(): void {
    this.#outbox.resume();
    for (const entry of this.#feeds.values()) {
      entry.opened = entry.feed.open().catch(this.#feedFailed);
    }
  }

  /** Ends a session for a node that is gone. Several nodes may do so: it has one end. */
  async endForGone(sessionId: string, reason: EndReason): Promise<void> {
    await endStream(this.#send, sessionId, reason);
    await this.#feeds.get(sessionId)?.feed.open();
  }

  get backlog(): number {
    return this.#outbox.sessionCount;
  }

  /** What this node keeps; both are 0 once every session has ended and every client has left. */
  get counts(): { feeds: number; outgoing: number } {
    return { feeds: this.#feeds.size, outgoing: this.#outbox.sessionCount };
  }

  /** Sends what still waits, for at most 0.7 s. The link stays open. */
  async [Symbol.asyncDispose](): Promise<void> {
    await withDeadline(this.#outbox.idle(), FLUSH_MS, "sending to Redis").catch(() => {});
    this.#listeners.clear();
    this.#feeds.clear();
  }

  /** Whether this node's log has the session. */
  #isOwn(sessionId: string): boolean {
    return this.#log.position(sessionId).seq > 0;
  }

  /**
   * Answers what `look` found, unless Redis has less of a running session than listeners here were
   * given: it has lost its data, and the session's own node is filling it again.
   */
  async #unlessRefilled<T>(
    sessionId: string,
    look: () => Promise<{ found: T; upTo: number }>,
  ): Promise<T> {
    const { feed } = this.#feeds.get(sessionId) ?? {};
    // Asked first, since the feed may go on while Redis is read.
    const delivered = feed?.newest ?? 0;
    const { found, upTo } = await look();
    if (upTo >= delivered || feed?.hasEnded) return found;
    throw new Failure("unavailable", "Redis is being refilled after it lost its data", {
      retryAfter: 1,
    });
  }

  #addFeed(sessionId: string): Feed {
    const newest = this.#log.position(sessionId).seq;
    const feed = new RedisFeed(
      {
        deliver: (envelope) => this.#listeners.call(envelope),
        open: async () => {
          if (this.#feeds.get(sessionId) !== entry) return { seq: 0, ended: false };
          await this.#link.subscribe(channelOf(sessionId), this.#onMessage);
          return streamPosition(this.#send, sessionId);
        },
        read: (after) => this.#readWithEnd(sessionId, after),
      },
      newest > 0 ? newest : undefined,
    );
    const entry = { feed, opened: Promise.resolve() };
    this.#feeds.set(sessionId, entry);
    entry.opened = feed.open().catch(this.#feedFailed);
    return entry;
  }

  /**
   * The envelopes of the stream after a `seq`. The end of a session gets the next number where the
   * stream has it earlier, or no longer: clients that were ahead of it must get it too.
   */
  async #readWithEnd(sessionId: string, after: number): Promise<Envelope[]> {
    const found = await readStream(this.#send, sessionId, after);
    const { seq, ended } = await streamPosition(this.#send, sessionId);
    if (!ended || found.some(isSessionEnd)) return found;
    const last = (await readStream(this.#send, sessionId, Math.max(0, seq - 1))).at(-1);
    const end: Envelope =
      last && isSessionEnd(last)
        ? last
        : {
            ...{ type: "session", data: { state: "ended", reason: "agent_failed" } },
            ...{ session_id: sessionId, seq, at: new Date().toISOString() },
          };
    const next = (found.at(-1)?.seq ?? after) + 1;
    return [...found, { ...end, seq: Math.max(next, end.seq) }];
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
    feed?.receive(envelope).catch(this.#feedFailed);
  };

  /** A feed that Redis left alone continues at the next connect. */
  readonly #feedFailed = (error: unknown): void => {
    if (error instanceof Failure) return;
    this.#logger.error({ error: messageOf(error) }, "unexpected error from Redis");
  };
}
