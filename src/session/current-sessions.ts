import { newestFirst, type Session, type SessionCounts } from "../domain/session.ts";
import type { SessionPage, SessionStore } from "../domain/stores.ts";

/** The records of the sessions of this process, as they are at this moment. */
export interface LiveRecords {
  find(id: string): Session | undefined;
  all(): Session[];
}

const NO_COUNTS: SessionCounts = { segments: 0, turns: 0, heard_language: null };

/**
 * All sessions, where those that live are as they are now: what is stored of them is behind while
 * the disk refuses, and says nothing about what runs.
 */
export class CurrentSessions implements SessionStore {
  readonly #stored: SessionStore;
  readonly #records: LiveRecords;

  constructor(stored: SessionStore, records: LiveRecords) {
    this.#stored = stored;
    this.#records = records;
  }

  find(id: string): (Session & SessionCounts) | undefined {
    const record = this.#records.find(id);
    const stored = this.#stored.find(id);
    return record ? { ...NO_COUNTS, ...stored, ...record } : stored;
  }

  live(): (Session & SessionCounts)[] {
    return newestFirst(
      this.#records
        .all()
        .map((record) => ({ ...NO_COUNTS, ...this.#stored.find(record.id), ...record })),
    );
  }

  page(options: { limit: number; before?: string }): SessionPage {
    const { sessions, next } = this.#stored.page(options);
    const current = sessions.map((stored) => ({ ...stored, ...this.#records.find(stored.id) }));
    return { sessions: current, next };
  }
}
