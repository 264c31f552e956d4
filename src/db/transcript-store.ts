import type { EventLog, SessionPosition, TranscriptStore } from "../domain/stores.ts";
import { type Envelope, envelope, type Segment } from "../domain/transcript.ts";
import type { Database } from "./open.ts";
import type { events, interims } from "./schema.ts";
import { prepareReads, prepareSegmentReads } from "./statements.ts";

type Reads = ReturnType<typeof prepareReads>;

/** Reads the events and final segments in SQLite. */
export class SqliteTranscriptStore implements TranscriptStore, EventLog {
  readonly #reads: Reads;
  readonly #segments: ReturnType<typeof prepareSegmentReads>;

  constructor(database: Database) {
    this.#reads = prepareReads(database);
    this.#segments = prepareSegmentReads(database);
  }

  /** Final segments in order of `seq`. */
  segments(id: string): Segment[] {
    return this.#segments.all.all({ id });
  }

  /** @throws Error when a row is not an envelope that this version can read */
  read(id: string, after: number, limit = Number.MAX_SAFE_INTEGER): Envelope[] {
    const stored = this.#reads.events.all({ id, after, limit });
    const open = this.#reads.interims.all({ id }).filter(({ seq }) => seq > after);
    return [...stored.map(toEnvelope), ...open.map(interimEnvelope)].sort(bySeq).slice(0, limit);
  }

  position(id: string): SessionPosition {
    return { seq: newestSeq(this.#reads, id), ended: this.#hasEnded(id) };
  }

  /** @throws Error when a row is not an envelope that this version can read */
  snapshot(id: string): Envelope[] {
    const ended = this.#hasEnded(id);
    return [
      ...this.#reads.lasting.all({ id }).map(toEnvelope),
      ...this.#reads.interims.all({ id }).map(interimEnvelope),
      ...this.#reads.newestState.all({ id }).map(toEnvelope),
      ...(ended ? [] : this.#reads.newestAgentState.all({ id }).map(toEnvelope)),
      ...(ended ? [] : openSpeech(this.#reads, id)),
    ].sort(bySeq);
  }

  #hasEnded(id: string): boolean {
    return this.#reads.session.get({ id })?.state === "ended";
  }
}

/** The newest `seq` of a session, 0 when there is none. */
export function newestSeq(reads: Reads, id: string): number {
  const interims = reads.interims.all({ id }).map(({ seq }) => seq);
  return Math.max(reads.newestSeq.get({ id })?.seq ?? 0, ...interims);
}

/** The newest interim of each segment that has no final, in the order in which they began. */
export function openSegments(reads: Reads, id: string): (Envelope & { type: "transcript" })[] {
  return reads.interims
    .all({ id })
    .map(interimEnvelope)
    .filter((entry) => entry.type === "transcript")
    .sort((one, other) => one.data.started_at - other.data.started_at || bySeq(one, other));
}

/** The beginning of each speech that has not stopped, oldest first. */
export function openSpeech(reads: Reads, id: string): (Envelope & { type: "speech" })[] {
  return ["user", "agent"]
    .flatMap((role) => reads.newestSpeech.all({ id, role }))
    .map(toEnvelope)
    .filter((entry) => entry.type === "speech")
    .filter((entry) => entry.data.state === "started")
    .sort(bySeq);
}

function bySeq(one: Envelope, other: Envelope): number {
  return one.seq - other.seq;
}

function interimEnvelope(row: typeof interims.$inferSelect): Envelope {
  return toEnvelope({ ...row, type: "transcript" });
}

/** @throws Error when the row is not an envelope that this version can read */
export function toEnvelope(row: Omit<typeof events.$inferSelect, "interim">): Envelope {
  const parsed = envelope.safeParse({
    type: row.type,
    seq: row.seq,
    session_id: row.session_id,
    at: new Date(row.at).toISOString(),
    data: JSON.parse(row.data),
  });
  if (parsed.success) return parsed.data;
  throw new Error(
    `Event ${row.seq} of session ${row.session_id} is unreadable: ${parsed.error.message}`,
  );
}
