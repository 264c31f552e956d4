import type { Logger } from "pino";
import type { EventLog, SessionPosition } from "../domain/stores.ts";
import type { Envelope } from "../domain/transcript.ts";
import { messageOf } from "../errors.ts";
import { RecentLog, type SessionSnapshot } from "./recent-log.ts";

export type EnvelopeListener = (envelope: Envelope) => void;

/**
 * Carries a session's envelopes to its listeners, on this node or another, and lets them read
 * earlier ones. `LocalChannelLayer` serves one process, `RedisChannelLayer` several, and callers
 * need not know which one they use. Both pass `channel-layer.contract.ts`.
 */
export interface ChannelLayer extends AsyncDisposable {
  /**
   * Passes on an envelope that the event log already holds; to be called in order of `seq`. Never
   * throws and never waits: a lost connection is logged.
   */
  publish(envelope: Envelope): void;
  /**
   * Calls `listener` for every envelope of the session published from now on, in order of `seq`.
   * @returns a function that ends the subscription
   */
  subscribe(sessionId: string, listener: EnvelopeListener): Promise<() => Promise<void>>;
  /**
   * Envelopes of the session with `seq` greater than `after`, in order; empty when unknown. Fewer
   * than `limit` means that there are no more.
   * Rejects with a Failure `unavailable` when it cannot tell, as does `position`.
   */
  read(sessionId: string, after: number, limit?: number): Promise<Envelope[]>;
  /** The newest `seq`, 0 for an unknown session, and whether the session has ended. */
  position(sessionId: string): Promise<SessionPosition>;
  /** What a new client needs of the session so far. Rejects as `read` does. */
  snapshot(sessionId: string): Promise<SessionSnapshot>;
  /** Sessions of which events wait to be sent; undefined where nothing can wait. */
  readonly backlog?: number;
  /** Resolves when the layer can carry events; rejects with the reason when it cannot. */
  ping(): Promise<void>;
}

/** The listeners of one process by session. One that throws does not affect the others. */
export class Listeners {
  readonly #bySession = new Map<string, Set<EnvelopeListener>>();
  readonly #logger: Pick<Logger, "error">;

  constructor(logger: Pick<Logger, "error">) {
    this.#logger = logger;
  }

  /** @returns a function that removes the listener and answers whether it was the session's last */
  add(sessionId: string, listener: EnvelopeListener): () => boolean {
    // Wrapped, since the same function may be added twice and a set would keep it once.
    const entry: EnvelopeListener = (envelope) => listener(envelope);
    const listeners = this.#bySession.get(sessionId) ?? new Set();
    this.#bySession.set(sessionId, listeners.add(entry));
    return () => {
      listeners.delete(entry);
      if (listeners.size > 0 || this.#bySession.get(sessionId) !== listeners) return false;
      return this.#bySession.delete(sessionId);
    };
  }

  call(envelope: Envelope): void {
    for (const listener of [...(this.#bySession.get(envelope.session_id) ?? [])]) {
      try {
        listener(envelope);
      } catch (error) {
        this.#logger.error(
          { session_id: envelope.session_id, seq: envelope.seq, error: messageOf(error) },
          "a transcript listener failed",
        );
      }
    }
  }

  clear(): void {
    this.#bySession.clear();
  }
}

/** The channel layer of an instance that runs alone: it calls its listeners directly. */
export class LocalChannelLayer implements ChannelLayer {
  readonly #log: RecentLog;
  readonly #listeners: Listeners;

  constructor(options: { log: EventLog; logger: Pick<Logger, "error"> }) {
    this.#log = new RecentLog(options.log);
    this.#listeners = new Listeners(options.logger);
  }

  publish(envelope: Envelope): void {
    this.#log.add(envelope);
    this.#listeners.call(envelope);
  }

  async subscribe(sessionId: string, listener: EnvelopeListener): Promise<() => Promise<void>> {
    const remove = this.#listeners.add(sessionId, listener);
    return async () => void remove();
  }

  async read(sessionId: string, after: number, limit?: number): Promise<Envelope[]> {
    return this.#log.read(sessionId, after, limit);
  }

  async position(sessionId: string): Promise<SessionPosition> {
    return this.#log.position(sessionId);
  }

  async snapshot(sessionId: string): Promise<SessionSnapshot> {
    return this.#log.snapshot(sessionId);
  }

  async ping(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listeners.clear();
  }
}
