import type { Session, SessionCounts } from "./session.ts";
import type { Segment } from "./transcript.ts";

/**
 * The sessions of the other Parleys on the same Redis, by asking those. Every method rejects with a
 * Failure: `unavailable` when Redis or a node does not answer, or the reason that the node gave.
 */
export interface OtherNodes {
  /** Their sessions that have not ended. */
  live(): Promise<(Session & SessionCounts)[]>;
  /** A session of any of them, with its final segments; undefined if none has it. */
  find(id: string): Promise<RemoteSession | undefined>;
  /** Ends a session; resolves with whether one of them has it. */
  stop(id: string): Promise<boolean>;
  /** Hands typed text to an agent; resolves with whether one of them has the session. */
  say(id: string, text: string): Promise<boolean>;
}

/** A session of another node. */
export interface RemoteSession {
  session: Session & SessionCounts;
  segments: Segment[];
}

/** The other nodes of a Parley that runs alone. */
export const noOtherNodes: OtherNodes = {
  live: async () => [],
  find: async () => undefined,
  stop: async () => false,
  say: async () => false,
};
