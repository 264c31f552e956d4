import { type Envelope, isSessionEnd } from "../domain/transcript.ts";

/**
 * The part of a session's past that a new client needs: the newest `session` event and, unless the
 * session has ended, the newest `agent_state`; speech that still goes on; every final; the newest
 * interim of each segment without a final; and the metrics. Errors are left out, since they are
 * over.
 *
 * @param past all envelopes of the session, in order of `seq`
 * @returns some of them, in the same order
 */
export function snapshotOf(past: readonly Envelope[]): Envelope[] {
  const kept: Envelope[] = [];
  /** What a later envelope of the same key replaces. */
  const newest = new Map<string, Envelope>();
  const finalSegments = new Set<string>();
  for (const envelope of past) {
    switch (envelope.type) {
      case "session":
      case "agent_state":
        newest.set(envelope.type, envelope);
        break;
      case "speech":
        newest.set(`speech ${envelope.data.role}`, envelope);
        break;
      case "metrics":
        kept.push(envelope);
        break;
      case "transcript": {
        const { segment_id, final } = envelope.data;
        if (final) {
          kept.push(envelope);
          finalSegments.add(segment_id);
          newest.delete(`segment ${segment_id}`);
        } else if (!finalSegments.has(segment_id)) {
          newest.set(`segment ${segment_id}`, envelope);
        }
      }
    }
  }
  const session = newest.get("session");
  if (session && isSessionEnd(session)) newest.delete("agent_state");
  for (const envelope of newest.values()) {
    const hasStopped = envelope.type === "speech" && envelope.data.state === "stopped";
    if (!hasStopped) kept.push(envelope);
  }
  return kept.sort((one, other) => one.seq - other.seq);
}
