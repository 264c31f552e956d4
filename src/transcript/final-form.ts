import { type Envelope, isSessionEnd } from "../domain/transcript.ts";

/**
 * A session so far "in final form", for a client that was not there: the newest `session` and,
 * unless it has ended, `agent_state`, speech that still goes on, every final, the newest interim of each segment
 * without one, and the metrics. Errors are over and left out.
 *
 * @param past all envelopes of the session, in order of `seq`
 * @returns some of them, in the same order
 */
export function finalForm(past: readonly Envelope[]): Envelope[] {
  const newest = new Map<string, Envelope>();
  const finals = new Set<string>();
  const kept: Envelope[] = [];
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
          finals.add(segment_id);
          newest.delete(`segment ${segment_id}`);
        } else if (!finals.has(segment_id)) {
          newest.set(`segment ${segment_id}`, envelope);
        }
      }
    }
  }
  const session = newest.get("session");
  if (session && isSessionEnd(session)) newest.delete("agent_state");
  for (const envelope of newest.values()) {
    const isOver = envelope.type === "speech" && envelope.data.state === "stopped";
    if (!isOver) kept.push(envelope);
  }
  return kept.sort((one, other) => one.seq - other.seq);
}
