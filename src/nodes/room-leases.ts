import { roomTakenMessage } from "../domain/session.ts";
import type { RoomLeases } from "../domain/stores.ts";
import { Failure } from "../errors.ts";
import type { RedisLink } from "../transcript/redis-link.ts";
import { NODES_KEY, type NodeRegistry } from "./node-registry.ts";

/** A lease that is not renewed ends after this, in ms: later than its node is taken for gone. */
const LEASE_MS = 12_000;

/** Attempts to take a room, and when a caller may try again, in s. */
const ATTEMPTS = 5;
const RETRY_AFTER_S = 5;

const roomKey = (room: string) => `parley:2:room:${room}`;

/**
 * Takes a room for a token if nobody has it. -1: Redis does not have the state that this node has
 * just written, so it may have lost its data, and with it the lease of another.
 * KEYS: nodes, room. ARGV: node, its state, token, ms.
 */
const ACQUIRE = `
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return -1 end
if redis.call('SET', KEYS[2], ARGV[3], 'NX', 'PX', ARGV[4]) then return 1 end
return 0
`;

/** Prolongs a lease, or takes it again; 0: another one has it. KEYS: room. ARGV: token, ms. */
const RENEW = `
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`;

/** KEYS: room. ARGV: token. */
const RELEASE = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
`;

interface HeldRoom {
  token: string;
  onLost: () => void;
}

/**
 * Leases of rooms in Redis, so that two nodes never bring agents into one room. They are renewed
 * with every beat of the registry. A conversation goes on while Redis is away, and ends when Redis
 * is back and another node has its room.
 */
export class RedisRoomLeases implements RoomLeases {
  readonly #link: RedisLink;
  readonly #registry: Pick<NodeRegistry, "id" | "add" | "remove" | "settledState">;
  readonly #held = new Map<string, HeldRoom>();

  constructor(
    link: RedisLink,
    registry: Pick<NodeRegistry, "id" | "add" | "remove" | "settledState">,
  ) {
    this.#link = link;
    this.#registry = registry;
  }

  async acquire(room: string, sessionId: string, onLost: () => void): Promise<AsyncDisposable> {
    const token = `${this.#registry.id}:${sessionId}`;
    if (!(await this.#take(room, token))) {
      throw new Failure("conflict", roomTakenMessage(room));
    }
    const held: HeldRoom = { token, onLost };
    this.#held.set(room, held);
    const lease = {
      [Symbol.asyncDispose]: async () => {
        if (this.#held.get(room) === held) this.#held.delete(room);
        this.#registry.remove(sessionId);
        // Without Redis, the lease ends by itself.
        if (this.#link.isConnected) await this.#release(room, token);
      },
    };
    try {
      await this.#registry.add(sessionId);
    } catch (error) {
      await lease[Symbol.asyncDispose]();
      throw error;
    }
    return lease;
  }

  /** To be called with every beat. Rejects when Redis cannot be reached. */
  async renew(): Promise<void> {
    await Promise.all(
      [...this.#held].map(async ([room, held]) => {
        const args = [RENEW, "1", roomKey(room), held.token, String(LEASE_MS)];
        const isOurs = await this.#link.send("EVAL", args);
        if (this.#held.get(room) !== held) return this.#release(room, held.token);
        if (isOurs === 1) return;
        this.#held.delete(room);
        held.onLost();
      }),
    );
  }

  /** @returns whether the room was free */
  async #take(room: string, token: string): Promise<boolean> {
    const { id } = this.#registry;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const state = await this.#registry.settledState();
      const args = [ACQUIRE, "2", NODES_KEY, roomKey(room), id, state, token, String(LEASE_MS)];
      const taken = await this.#link.send("EVAL", args);
      // A heartbeat may have come between.
      if (taken !== -1) return taken === 1;
    }
    const message = "Redis does not keep what Parley writes. Please try again soon.";
    throw new Failure("unavailable", message, { retryAfter: RETRY_AFTER_S });
  }

  async #release(room: string, token: string): Promise<void> {
    await this.#link.send("EVAL", [RELEASE, "1", roomKey(room), token]).catch(() => {});
  }
}
