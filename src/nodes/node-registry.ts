import type { Logger } from "pino";
import { z } from "zod";
import { Failure, messageOf } from "../errors.ts";
import { parseJson } from "../lib/json.ts";
import type { RedisLink } from "../transcript/redis-link.ts";

/** The nodes on this Redis: a hash of their states by id. The number is the layout's version. */
export const NODES_KEY = "parley:2:nodes";

/**
 * A node says that it lives, and looks at the others, with every beat. One whose state has not
 * changed for the time `gone` is gone. After a reconnection, or when Redis has lost its data, the
 * nodes write their rooms again; no room is given away until they have had the time to `settle`.
 */
const TIMING: NodeTiming = { beat: 2000, gone: 8000, settle: 5000 };

const nodeState = z.object({ beat: z.int(), sessions: z.array(z.string()).max(10_000) });
const hashReply = z.record(z.string(), z.string());

/** Another node as it was last seen; `at` is monotonic, in ms. */
interface SeenNode {
  text: string;
  at: number;
}

interface RegistryOptions {
  link: RedisLink;
  logger: Pick<Logger, "info" | "warn" | "error">;
  /** A node is gone for good: its sessions have to be ended. Rejects when that has to wait. */
  onGone(sessionIds: string[]): Promise<void>;
  /** Redis has lost what this node wrote, and has to be filled again. */
  onDataLost(): void;
  /** Called with each beat while Redis is reachable. Rejects when Redis is not. */
  onBeat(): Promise<void>;
  timing?: NodeTiming | undefined;
}

/** In ms: how often a node is heard, and the silence after which it is gone; see the defaults. */
export interface NodeTiming {
  beat: number;
  gone: number;
  settle: number;
}

/**
 * The Parleys that share a Redis. Each writes a state that changes with every beat; one whose state
 * stands still is gone. Only the observer's own monotonic clock counts, so the clocks of the nodes
 * may differ.
 */
export class NodeRegistry implements AsyncDisposable {
  /** Of this process: a node that starts again is another one. */
  readonly id = crypto.randomUUID();
  readonly #options: RegistryOptions;
  readonly #timing: NodeTiming;
  /** The live sessions of this node. */
  readonly #sessions = new Set<string>();
  readonly #seen = new Map<string, SeenNode>();
  readonly #timer: ReturnType<typeof setInterval>;
  #beat = 0;
  /** Whether this node has been written since it started. */
  #joined = false;
  #connectedAt: number | undefined;
  #settledAt = 0;
  /** The running beat; beats do not overlap. */
  #beating: Promise<void> | undefined;
  #closed = false;

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#timing = options.timing ?? TIMING;
    this.#timer = setInterval(() => void this.#tryBeat(), this.#timing.beat);
    this.#timer.unref();
  }

  /** To be called when Redis is connected (again). */
  async connected(): Promise<void> {
    if (this.#connectedAt !== undefined) this.#unsettle();
    this.#connectedAt = performance.now();
    await this.#tryBeat();
  }

  /** Lists a session as running here, until `remove`. Rejects when Redis cannot be reached. */
  async add(sessionId: string): Promise<void> {
    this.#sessions.add(sessionId);
    await this.#write();
  }

  remove(sessionId: string): void {
    this.#sessions.delete(sessionId);
  }

  /**
   * The ids of the other nodes that live.
   * @throws Failure `unavailable` when Redis cannot be reached
   */
  async others(): Promise<string[]> {
    this.#observe(await this.#read());
    const now = performance.now();
    return [...this.#seen].filter(([, { at }]) => now - at <= this.#timing.gone).map(([id]) => id);
  }

  /**
   * Writes this node, and resolves with its state, which Redis has for as long as it keeps its data.
   * @throws Failure `unavailable` while Redis cannot be reached, and for some seconds after it was
   *   lost or emptied: another node may have a room that Redis does not know of yet
   */
  async settledState(): Promise<string> {
    const text = await this.#write();
    const left = this.#settledAt - performance.now();
    if (left <= 0) return text;
    throw new Failure(
      "unavailable",
      "Redis has just come back, so Parley is finding out which rooms are taken. Try again soon.",
      { retryAfter: Math.ceil(left / 1000) },
    );
  }

  /** Leaves: other nodes need not wait for this one. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    await this.#beating;
    const { link } = this.#options;
    if (link.isConnected) await link.send("HDEL", [NODES_KEY, this.id]).catch(() => {});
  }

  #tryBeat(): Promise<void> {
    if (this.#closed || !this.#options.link.isConnected) return Promise.resolve();
    this.#beating ??= this.#doBeat()
      .catch((error: unknown) => {
        // The link reports what is unreachable.
        if (error instanceof Failure) return;
        this.#options.logger.error({ error: messageOf(error) }, "unexpected error from Redis");
      })
      .finally(() => {
        this.#beating = undefined;
      });
    return this.#beating;
  }

  async #doBeat(): Promise<void> {
    await this.#write();
    await this.#options.onBeat();
    this.#observe(await this.#read());
    await this.#endGone();
  }

  async #write(): Promise<string> {
    const state = { beat: ++this.#beat, sessions: [...this.#sessions] };
    const text = JSON.stringify(state);
    const added = await this.#options.link.send("HSET", [NODES_KEY, this.id, text]);
    if (added === 1 && this.#joined) {
      this.#options.logger.warn("Redis has lost its data; it is filled again");
      this.#unsettle();
      this.#options.onDataLost();
    }
    this.#joined = true;
    return text;
  }

  #unsettle(): void {
    this.#settledAt = performance.now() + this.#timing.settle;
  }

  async #read(): Promise<Record<string, string>> {
    return hashReply.parse(await this.#options.link.send("HGETALL", [NODES_KEY]));
  }

  #observe(states: Record<string, string>): void {
    const now = performance.now();
    for (const [id, text] of Object.entries(states)) {
      if (id !== this.id && this.#seen.get(id)?.text !== text)
        this.#seen.set(id, { text, at: now });
    }
    // One that has left, having ended its sessions.
    for (const [id, { text }] of this.#seen) {
      if (states[id] === undefined && sessionsOf(text).length === 0) this.#seen.delete(id);
    }
  }

  /** Nobody is judged before it could have been heard: the outage may have been this node's own. */
  async #endGone(): Promise<void> {
    const heardSince = performance.now() - this.#timing.gone;
    if (this.#connectedAt === undefined || this.#connectedAt > heardSince) return;
    for (const [id, { text, at }] of this.#seen) {
      if (at > heardSince) continue;
      const sessions = sessionsOf(text);
      await this.#options.onGone(sessions);
      await this.#options.link.send("HDEL", [NODES_KEY, id]);
      this.#seen.delete(id);
      const context = { node: id, sessions: sessions.length };
      this.#options.logger.warn(context, "another Parley is gone; its sessions are ended");
    }
  }
}

function sessionsOf(text: string): string[] {
  return nodeState.safeParse(parseJson(text)).data?.sessions ?? [];
}
