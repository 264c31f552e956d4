import type { Logger } from "pino";
import type { Envelope, EventLog, SessionPosition } from "../domain/transcript.ts";
import { messageOf } from "../errors.ts";
import type { ChannelLayer, EnvelopeListener } from "./channel-layer.ts";

/** Listeners by session; one that throws does not keep an envelope from the others. */
export class Listeners {
  readonly #bySession = new Map<string, Set<EnvelopeListener>>();
  readonly #logger: Pick<Logger, "error">;

  constructor(logger: Pick<Logger, "error">) {
    this.#logger = logger;
  }

  /** @returns a function that removes the listener and answers whether it was the session's last */
  add(sessionId: string, listener: EnvelopeListener): () => boolean {
    // One listener may be added twice: each gets its own place in the set.
    const own: EnvelopeListener = (envelope) => listener(envelope);
    const listeners = this.#bySession.get(sessionId) ?? new Set();
    this.#bySession.set(sessionId, listeners.add(own));
    return () => {
      listeners.delete(own);
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

  get sessionCount(): number {
    return this.#bySession.size;
  }

  clear(): void {
    this.#bySession.clear();
  }
}

/** The channel layer of a Parley that runs alone: calls its listeners at once. */
export class LocalChannelLayer implements ChannelLayer {
  readonly #log: Pick<EventLog, "read" | "position">;
  readonly #listeners: Listeners;

  constructor(options: {
    log: Pick<EventLog, "read" | "position">;
    logger: Pick<Logger, "error">;
  }) {
    this.#log = options.log;
    this.#listeners = new Listeners(options.logger);
  }

  publish(envelope: Envelope): void {
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

  async ping(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listeners.clear();
  }
}
