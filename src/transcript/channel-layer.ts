import type { Envelope, SessionPosition } from "../domain/transcript.ts";

export type EnvelopeListener = (envelope: Envelope) => void;

/**
 * Carries a session's envelopes to whoever listens, on this node or another, and lets a listener
 * read what came before. `local.ts` serves one process, `redis.ts` several; callers never ask
 * which. Both pass `channel-layer.contract.ts`.
 */
export interface ChannelLayer extends AsyncDisposable {
  /**
   * Hands on an envelope that the event log holds already, in order. Never throws and never waits:
   * a lost link is logged.
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
  /** Resolves when the layer can carry events; rejects with the reason when it cannot. */
  ping(): Promise<void>;
}
