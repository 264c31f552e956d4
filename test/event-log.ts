import pino, { type Logger } from "pino";
import type { EventLog, SessionPosition } from "../src/domain/stores.ts";
import { type Envelope, isSessionEnd, type SessionEvent } from "../src/domain/transcript.ts";
import { snapshotOf } from "../src/transcript/snapshot.ts";

/** An event log in memory, for tests. */
export class MemoryLog implements EventLog {
  readonly #events = new Map<string, Envelope[]>();

  append(envelope: Envelope): void {
    const events = this.#events.get(envelope.session_id) ?? [];
    this.#events.set(envelope.session_id, [...events, envelope]);
  }

  read(sessionId: string, after: number, limit?: number): Envelope[] {
    const events = this.#events.get(sessionId) ?? [];
    return events.filter((event) => event.seq > after).slice(0, limit);
  }

  position(sessionId: string): SessionPosition {
    const events = this.#events.get(sessionId) ?? [];
    const ended = events.some(isSessionEnd);
    return { seq: events.at(-1)?.seq ?? 0, ended };
  }

  snapshot(sessionId: string): Envelope[] {
    return snapshotOf(this.read(sessionId, 0));
  }
}

/** A logger that keeps its lines in memory. */
export function memoryLogger(): Logger & { lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const logger = pino(
    { level: "debug" },
    { write: (line: string) => lines.push(JSON.parse(line)) },
  );
  return Object.assign(logger, { lines });
}

export function transcriptEvent(text: string, more: Partial<TranscriptFields> = {}): SessionEvent {
  const fields = { segment_id: "s1", role: "user", identity: "ann", final: true } as const;
  return { type: "transcript", data: { ...fields, text, started_at: 0, ...more } };
}
type TranscriptFields = Extract<SessionEvent, { type: "transcript" }>["data"];

export const ENDED: SessionEvent = { type: "session", data: { state: "ended", reason: "stopped" } };

export function envelopeOf(session_id: string, seq: number, event?: SessionEvent): Envelope {
  const at = new Date(1_700_000_000_000 + seq).toISOString();
  return { ...(event ?? transcriptEvent(`text ${seq}`)), session_id, seq, at };
}

/** Collects the envelopes that a listener receives and lets a test wait for them. */
export class Collector {
  readonly envelopes: Envelope[] = [];
  readonly #waiting = new Set<() => void>();

  readonly listener = (envelope: Envelope): void => {
    this.envelopes.push(envelope);
    for (const check of [...this.#waiting]) check();
  };

  get seqs(): number[] {
    return this.envelopes.map((envelope) => envelope.seq);
  }

  /** Resolves when `seq` has arrived. */
  until(seq: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const check = () => {
      if (!this.seqs.includes(seq)) return;
      this.#waiting.delete(check);
      resolve();
    };
    this.#waiting.add(check);
    check();
    return promise;
  }
}

/** 1, 2, … `to`. */
export function upTo(to: number): number[] {
  return Array.from({ length: to }, (_, index) => index + 1);
}
