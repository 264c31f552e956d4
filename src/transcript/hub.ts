import { setImmediate } from "node:timers/promises";
import type { Logger } from "pino";
import {
  type Envelope,
  type EventLog,
  isSessionEnd,
  type SessionEvent,
} from "../domain/transcript.ts";
import { messageOf } from "../errors.ts";
import type { ChannelLayer } from "./channel-layer.ts";
import { finalForm } from "./final-form.ts";

/** One WebSocket as the hub sees it. */
export interface HubClient {
  send(text: string): void;
  /** What `send` took and the network did not yet. */
  bufferedBytes(): number;
  /** Closes the connection; the hub has forgotten the client by then. */
  close(code: number, reason: string): void;
}

/** WebSocket close codes (RFC 6455, and IANA's registry for 1013) as the hub uses them. */
const CLOSE = { ended: 1000, goingAway: 1001, failed: 1011, tooSlow: 1013 } as const;

const MAX_BUFFERED_BYTES = 1024 * 1024;
/** Envelopes read at once: some ms of work, which does not make a voice falter. */
const PAGE = 1000;

interface Group {
  sessionId: string;
  members: Set<Member>;
  /** Resolves to the function that ends the layer's subscription. */
  subscription: Promise<() => Promise<void>>;
}

interface Member {
  client: HubClient;
  group: Group;
  /** The `seq` up to which the client has been served. */
  served: number;
  /** Live messages that wait for the replay to end; undefined once the client is live. */
  backlog: { messages: Message[]; bytes: number } | undefined;
  /** Wakes a replay that waits for the network, or for the client to be gone. */
  wake: () => void;
  gone: boolean;
}

interface Message {
  seq: number;
  text: string;
  ended: boolean;
}

interface HubOptions {
  layer: ChannelLayer;
  log: Pick<EventLog, "append" | "position">;
  logger: Pick<Logger, "warn" | "error">;
  /** Ms since the epoch. */
  now?: () => number;
  /** Past this a client is too slow, bytes. */
  maxBufferedBytes?: number;
}

/**
 * Numbers and stores what happens in sessions, and serves it to any number of clients: what came
 * before, then what comes, without gap or duplicate. One slow client never holds up another.
 */
export class Hub implements AsyncDisposable {
  readonly #layer: ChannelLayer;
  readonly #log: HubOptions["log"];
  readonly #logger: HubOptions["logger"];
  readonly #now: () => number;
  readonly #maxBufferedBytes: number;
  /** The newest `seq` of each session that this node publishes and that has not ended. */
  readonly #newest = new Map<string, number>();
  readonly #groups = new Map<string, Group>();
  readonly #members = new Map<HubClient, Member>();
  readonly #unsubscribing = new Set<Promise<void>>();
  #closed = false;

  constructor(options: HubOptions) {
    this.#layer = options.layer;
    this.#log = options.log;
    this.#logger = options.logger;
    this.#now = options.now ?? Date.now;
    this.#maxBufferedBytes = options.maxBufferedBytes ?? MAX_BUFFERED_BYTES;
  }

  get connectionCount(): number {
    return this.#members.size;
  }

  /** Sessions that local clients listen to. */
  get groupCount(): number {
    return this.#groups.size;
  }

  /**
   * Numbers an event, stores it, and then sends it to every client of the session.
   * @throws whatever the log throws; then no client sees the event and its `seq` stays free
   */
  publish(sessionId: string, event: SessionEvent): Envelope {
    let newest = this.#newest.get(sessionId);
    let ended = false;
    if (newest === undefined) ({ seq: newest, ended } = this.#log.position(sessionId));
    const envelope: Envelope = {
      ...event,
      seq: newest + 1,
      session_id: sessionId,
      at: new Date(this.#now()).toISOString(),
    };
    this.#log.append(envelope);
    if (ended || isSessionEnd(envelope)) this.#newest.delete(sessionId);
    else this.#newest.set(sessionId, envelope.seq);
    this.#layer.publish(envelope);
    return envelope;
  }

  /** Whether a session of this id exists, here or on another node. */
  async has(sessionId: string): Promise<boolean> {
    return this.#newest.has(sessionId) || (await this.#layer.position(sessionId)).seq > 0;
  }

  /**
   * Serves a client until it disconnects, the session ends (close 1000) or it is too slow (1013).
   * Resolves when the client is live or closed; failures close it with 1011 and are logged.
   *
   * @param after replay every envelope after this `seq`; undefined: the session in final form
   */
  async connect(client: HubClient, sessionId: string, after?: number): Promise<void> {
    if (this.#closed) return client.close(CLOSE.goingAway, "shutting down");
    const group = this.#groups.get(sessionId) ?? this.#open(sessionId);
    const member: Member = {
      client,
      group,
      served: after ?? 0,
      backlog: { messages: [], bytes: 0 },
      wake: () => {},
      gone: false,
    };
    group.members.add(member);
    this.#members.set(client, member);
    try {
      await group.subscription;
      await this.#replay(member, after);
    } catch (error) {
      this.#logger.error({ session_id: sessionId, error: messageOf(error) }, "replay failed");
      this.#drop(member, CLOSE.failed, "replay failed, try again");
    }
  }

  /** Forgets a client whose connection is gone. An unknown one: nothing. */
  disconnect(client: HubClient): void {
    const member = this.#members.get(client);
    if (member) this.#remove(member);
  }

  /** To be called when the network has taken what a client had buffered: a replay may go on. */
  drained(client: HubClient): void {
    this.#members.get(client)?.wake();
  }

  /** Closes every client with 1001 and ends every subscription. The layer stays open. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const member of [...this.#members.values()]) {
      this.#drop(member, CLOSE.goingAway, "shutting down");
    }
    await Promise.all(this.#unsubscribing);
  }

  #open(sessionId: string): Group {
    const members = new Set<Member>();
    // Subscribed before anything is read, so that no event falls between replay and live.
    const subscription = this.#layer.subscribe(sessionId, (envelope) => {
      const message = messageFrom(envelope);
      for (const member of [...members]) this.#deliver(member, message);
    });
    const group = { sessionId, members, subscription };
    this.#groups.set(sessionId, group);
    return group;
  }

  async #replay(member: Member, after: number | undefined): Promise<void> {
    const { sessionId } = member.group;
    // Asked before reading: what ended by now is then read to its end.
    let { ended } = await this.#layer.position(sessionId);
    const past: Envelope[] = [];
    for await (const page of this.#pages(sessionId, after ?? 0)) {
      if (member.gone) return;
      ended ||= page.some(isSessionEnd);
      member.served = Math.max(member.served, page.at(-1)?.seq ?? 0);
      if (after === undefined) past.push(...page);
      else await this.#writeAll(member, page.map(messageFrom));
    }
    await this.#writeAll(member, finalForm(past).map(messageFrom));
    while (!member.gone && member.backlog?.messages.length) {
      const messages = member.backlog.messages.filter(({ seq }) => seq > member.served);
      member.backlog = { messages: [], bytes: 0 };
      ended ||= messages.some((message) => message.ended);
      member.served = Math.max(member.served, messages.at(-1)?.seq ?? 0);
      await this.#writeAll(member, messages);
    }
    member.backlog = undefined;
    if (ended) this.#drop(member, CLOSE.ended, "session ended");
  }

  /** The stored part of a session; between two pages, whatever else waits has its turn. */
  async *#pages(sessionId: string, after: number): AsyncGenerator<Envelope[]> {
    for (let from = after; ; await setImmediate()) {
      const page = await this.#layer.read(sessionId, from, PAGE);
      yield page;
      const last = page.at(-1);
      if (page.length < PAGE || last === undefined) return;
      from = last.seq;
    }
  }

  async #writeAll(member: Member, messages: Message[]): Promise<void> {
    for (const message of messages) {
      await this.#untilDrained(member);
      if (member.gone) return;
      this.#write(member, message);
    }
  }

  /** A replay may be larger than the buffer: it goes as fast as the client reads. */
  async #untilDrained(member: Member): Promise<void> {
    while (!member.gone && member.client.bufferedBytes() > this.#maxBufferedBytes / 2) {
      const { promise, resolve } = Promise.withResolvers<void>();
      member.wake = resolve;
      await promise;
    }
  }

  #deliver(member: Member, message: Message): void {
    if (member.gone || message.seq <= member.served) return;
    if (member.backlog) {
      member.backlog.messages.push(message);
      member.backlog.bytes += message.text.length;
      if (member.backlog.bytes > this.#maxBufferedBytes) this.#dropSlow(member);
      return;
    }
    // Looked at before sending: one message larger than the buffer must still get through.
    if (member.client.bufferedBytes() > this.#maxBufferedBytes) {
      this.#dropSlow(member);
      return;
    }
    this.#write(member, message);
    member.served = message.seq;
    if (message.ended) this.#drop(member, CLOSE.ended, "session ended");
  }

  #write(member: Member, message: Message): void {
    try {
      member.client.send(message.text);
    } catch (error) {
      const context = { session_id: member.group.sessionId, error: messageOf(error) };
      this.#logger.warn(context, "a transcript client could not be written to");
      this.#drop(member, CLOSE.failed, "write failed");
    }
  }

  #dropSlow(member: Member): void {
    const context = { session_id: member.group.sessionId, served: member.served };
    this.#logger.warn(context, "a transcript client is too slow, closed");
    this.#drop(member, CLOSE.tooSlow, "too slow, come back with after");
  }

  #drop(member: Member, code: number, reason: string): void {
    if (member.gone) return;
    this.#remove(member);
    member.client.close(code, reason);
  }

  #remove(member: Member): void {
    member.gone = true;
    member.wake();
    if (this.#members.get(member.client) === member) this.#members.delete(member.client);
    const { group } = member;
    group.members.delete(member);
    if (group.members.size > 0 || this.#groups.get(group.sessionId) !== group) return;
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
      this.#logger.warn(context, "a transcript subscription did not end cleanly");
    }
  }
}

function messageFrom(envelope: Envelope): Message {
  return { seq: envelope.seq, text: JSON.stringify(envelope), ended: isSessionEnd(envelope) };
}
