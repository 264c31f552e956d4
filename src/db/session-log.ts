import { eq } from "drizzle-orm";
import type { EndReason, Session } from "../domain/session.ts";
import type { SessionChange, SessionLog } from "../domain/stores.ts";
import {
  closingEvents,
  type Envelope,
  isEssential,
  isSessionEnd,
  type SessionEnd,
  type SessionEvent,
} from "../domain/transcript.ts";
import { diskFailure } from "./disk-failure.ts";
import type { Database } from "./open.ts";
import { sessions } from "./schema.ts";
import {
  prepareEventWrites,
  prepareReads,
  prepareSegmentReads,
  prepareSessionWrites,
} from "./statements.ts";
import { newestSeq, openSegments, openSpeech, toEnvelope } from "./transcript-store.ts";

interface SqliteSessionLogOptions {
  database: Database;
  /** Receives what a transaction has stored, in order, once it is stored. */
  publish(envelope: Envelope): void;
  /** Hears how long each transaction held the event loop, in ms. */
  written?: (ms: number) => void;
  /** Ms since the epoch. */
  now?: () => number;
}

/** The life of sessions in SQLite: see `SessionLog`. */
export class SqliteSessionLog implements SessionLog {
  readonly #database: Database;
  readonly #publish: (envelope: Envelope) => void;
  readonly #written: (ms: number) => void;
  readonly #now: () => number;
  readonly #reads: ReturnType<typeof prepareReads>;
  readonly #segments: ReturnType<typeof prepareSegmentReads>;
  readonly #sessions: ReturnType<typeof prepareSessionWrites>;
  readonly #events: ReturnType<typeof prepareEventWrites>;

  constructor({ database, publish, written = () => {}, now = Date.now }: SqliteSessionLogOptions) {
    this.#database = database;
    this.#publish = publish;
    this.#written = written;
    this.#now = now;
    this.#reads = prepareReads(database);
    this.#segments = prepareSegmentReads(database);
    this.#sessions = prepareSessionWrites(database);
    this.#events = prepareEventWrites(database);
  }

  begin(session: Session): void {
    this.#write("durable", () => {
      this.#database.orm.insert(sessions).values(session).run();
      return [this.#append(session.id, stateEvent(session.state), this.#now())];
    });
  }

  append(id: string, event: SessionEvent, at = this.#now()): Envelope {
    const [stored] = this.#write(isEssential(event) ? "durable" : "fast", () => {
      if (isSessionEnd(event)) throw new Error(`Session ${id} ends by end()`);
      this.#assertRunning(id);
      if (event.type === "session") this.#sessions.state.run({ id, state: event.data.state });
      return [this.#append(id, event, at)];
    });
    if (stored === undefined) throw new Error("nothing was stored");
    return stored;
  }

  change(id: string, change: SessionChange): void {
    if (Object.values(change).every((value) => value === undefined)) return;
    this.#write("fast", () => {
      this.#database.orm.update(sessions).set(change).where(eq(sessions.id, id)).run();
      return [];
    });
  }

  end(id: string, reason: EndReason, at = this.#now()): void {
    this.#write("durable", () => {
      const logged = this.#loggedEnd(id);
      const ended = {
        reason: logged?.data.reason ?? reason,
        at: logged ? Date.parse(logged.at) : at,
      };
      const { changes } = this.#sessions.end.run({ id, ...ended });
      if (changes === 0 || logged) return [];
      const open = [...openSegments(this.#reads, id), ...openSpeech(this.#reads, id)];
      return closingEvents(open, reason).map((event) => this.#append(id, event, at));
    });
  }

  discard(id: string): void {
    this.#write("durable", () => {
      const seq = newestSeq(this.#reads, id);
      this.#sessions.remove.run({ id });
      return [this.#envelope(id, seq + 1, stateEvent("ended", "agent_failed"), this.#now())];
    });
  }

  unended(): string[] {
    return this.#reads.unended.all().map(({ id }) => id);
  }

  /** Publishes after the transaction: what is published is stored. */
  #write(how: "durable" | "fast", work: () => Envelope[]): Envelope[] {
    const stored = this.#transact(how, work);
    for (const envelope of stored) this.#publish(envelope);
    return stored;
  }

  #transact(how: "durable" | "fast", work: () => Envelope[]): Envelope[] {
    const startedAt = performance.now();
    try {
      return this.#database.write(how, work);
    } catch (error) {
      throw diskFailure(error, this.#database.handle.name) ?? error;
    } finally {
      this.#written(performance.now() - startedAt);
    }
  }

  #assertRunning(id: string): void {
    const state = this.#reads.session.get({ id })?.state;
    if (state === undefined) throw new Error(`Session ${id} is unknown`);
    if (state === "ended") throw new Error(`Session ${id} has ended`);
  }

  /** The end that the log has, also where the session's record does not know of it. */
  #loggedEnd(id: string): (Envelope & SessionEnd) | undefined {
    const newest = this.#reads.newestEvent.get({ id });
    const entry = newest && toEnvelope(newest);
    return entry && isSessionEnd(entry) ? entry : undefined;
  }

  #append(id: string, event: SessionEvent, at: number): Envelope {
    const entry = this.#envelope(id, newestSeq(this.#reads, id) + 1, event, at);
    if (entry.type === "transcript") this.#appendTranscript(entry);
    else this.#events.event.run(row(entry));
    if (entry.type === "metrics") this.#sessions.countTurn.run({ id });
    return entry;
  }

  /** An interim replaces the one before it, and a final the last interim. */
  #appendTranscript(entry: Envelope & { type: "transcript" }): void {
    const { session_id: id, data } = entry;
    const { segment_id, language = null } = data;
    if (!data.final) {
      this.#events.interim.run({ ...row(entry), segment_id });
      return;
    }
    const before = this.#segments.one.get({ id, segment_id });
    this.#events.removeInterim.run({ id, segment_id });
    this.#events.event.run(row(entry));
    this.#events.segment.run({
      ...{ ...data, ...row(entry), language },
      started_at: Math.round(data.started_at),
      interrupted: data.interrupted ?? false,
    });
    if (before === undefined) this.#sessions.countSegment.run({ id });
    this.#countLanguage(id, language, before?.language ?? null);
  }

  #countLanguage(id: string, language: string | null, before: string | null): void {
    if (language === before) return;
    const languages = { ...this.#reads.session.get({ id })?.languages };
    if (before !== null) languages[before] = (languages[before] ?? 1) - 1;
    if (language !== null) languages[language] = (languages[language] ?? 0) + 1;
    this.#sessions.languages.run({ id, languages: JSON.stringify(languages) });
  }

  #envelope(session_id: string, seq: number, event: SessionEvent, at: number): Envelope {
    return { ...event, seq, session_id, at: new Date(at).toISOString() };
  }
}

function stateEvent(state: Session["state"], reason?: EndReason): SessionEvent {
  return { type: "session", data: { state, ...(reason && { reason }) } };
}

function row({ session_id: id, seq, at, type, data }: Envelope) {
  return { id, seq, at: Date.parse(at), type, data: JSON.stringify(data) };
}
