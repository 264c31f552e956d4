import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDatabase } from "../../src/db/open.ts";
import { SqliteSessionLog } from "../../src/db/session-log.ts";
import type { Session } from "../../src/domain/session.ts";
import type { Role } from "../../src/domain/transcript.ts";
import { insertSession, MIGRATIONS, sessionOf } from "../database.ts";

/** A conversation of the past, and what was said in it by turns, the user first. */
export interface PastConversation extends Partial<Session> {
  said?: string[];
}

/** A data folder in which these conversations, newest first, have been held; gone at the end. */
export function createSeededData(past: readonly PastConversation[]): { path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), "parley-seeded-"));
  using database = openDatabase(join(path, "parley.db"), MIGRATIONS);
  const newest = Date.now() - 60_000;
  for (const [index, { said = [], ...change }] of past.entries()) {
    const at = newest - index * 60_000;
    const times = { started_at: at, ended_at: at + 30_000 };
    const end = { state: "ended", end_reason: "stopped" } as const;
    const session = sessionOf({ ...end, ...times, ...change });
    insertSession(database, { ...session, state: "active", ended_at: null, end_reason: null });
    const log = new SqliteSessionLog({ database, publish: () => {}, now: () => at });
    for (const [turn, text] of said.entries()) {
      const role: Role = turn % 2 === 0 ? "user" : "agent";
      const identity = role === "user" ? (session.identity ?? "") : "agent-1";
      const data = { segment_id: `s${turn}`, role, identity, text, final: true, started_at: at };
      log.append(session.id, { type: "transcript", data });
    }
    const { state, end_reason, ended_at } = session;
    if (state === "ended") log.end(session.id, end_reason ?? "stopped", ended_at ?? at);
  }
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}
