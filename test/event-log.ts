import pino, { type Logger } from "pino";
import { SqliteSessionLog } from "../src/db/session-log.ts";
import { SqliteTranscriptStore } from "../src/db/transcript-store.ts";
import type { Envelope, SessionEvent } from "../src/domain/transcript.ts";
import { withDeadline } from "../src/lib/deadline.ts";
import type { MetricSources } from "../src/observability/metrics.ts";
import { sessionOf, temporaryDatabase } from "./database.ts";

/** The log of one Parley, on disk until the end of its scope. */
export function openLog(publish: (envelope: Envelope) => void = () => {}) {
  const temporary = temporaryDatabase();
  const { database } = temporary;
  const listener = { publish };
  const log = new SqliteSessionLog({
    database,
    publish: (envelope) => listener.publish(envelope),
    now: () => 1_700_000_000_000,
  });
  return {
    ...{ log, database },
    /** Reads what `log` stored. */
    events: new SqliteTranscriptStore(database),
    /** Publishes to `next` from now on. */
    connect: (next: (envelope: Envelope) => void) => {
      listener.publish = next;
    },
    /** Begins a session, whose first event has `seq` 1. */
    begin(): string {
      const session = sessionOf();
      log.begin(session);
      return session.id;
    },
    [Symbol.dispose]: () => temporary[Symbol.dispose](),
  };
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

/** An event that stays in the log for as long as its session, and is cheap to write. */
export function noticeEvent(message: string): SessionEvent {
  return { type: "notice", data: { code: "test", message, transient: false } };
}

/** An envelope that no log has stored. */
export function envelopeOf(session_id: string, seq: number, event?: SessionEvent): Envelope {
  const at = new Date(1_700_000_000_000 + seq).toISOString();
  return { ...(event ?? transcriptEvent(`text ${seq}`)), session_id, seq, at };
}

const DEADLINE_MS = 20_000;

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

  /** Resolves when `seq` has arrived; rejects after 20 s. */
  async until(seq: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const check = () => {
      if (this.envelopes.some((envelope) => envelope.seq === seq)) resolve();
    };
    this.#waiting.add(check);
    check();
    try {
      await withDeadline(promise, DEADLINE_MS, `event ${seq} after ${this.envelopes.length}`);
    } finally {
      this.#waiting.delete(check);
    }
  }
}

/** 1, 2, … `to`. */
export function upTo(to: number): number[] {
  return range(1, to);
}

/** `from`, … `to`. */
export function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);
}

/** What metrics read of an installation where nothing happens. */
export const idleSources: MetricSources = {
  liveSessions: () => 0,
  socketClients: () => 0,
  databaseBytes: () => ({ file: 0, log: 0 }),
  unstoredEvents: () => ({ waiting: 0, lost: 0 }),
  livekitRestarts: () => 0,
  runners: () => [],
  uncaughtErrors: () => 0,
  redisBacklog: () => undefined,
};
