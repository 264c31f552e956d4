import { openDatabase } from "../src/db/open.ts";
import { MIGRATIONS, sessionOf } from "../test/database.ts";
import { transcriptEvent } from "../test/event-log.ts";

/** As many conversations as a busy installation holds in some years. */
export const SESSIONS = 100_000;
const SEGMENTS_EACH = 20;
/** The newest sessions still have interims as rows, as earlier versions of Parley left them. */
const SESSIONS_WITH_INTERIMS = 2000;
const INTERIMS_EACH = 100;
const NEWEST = Date.now() - 60_000;

/** Creates a database with 100,000 sessions, 2,000,000 segments and 200,000 old interims. */
export function seedHistory(path: string): void {
  using database = openDatabase(path, MIGRATIONS);
  const { handle } = database;
  const columns = Object.keys(sessionOf());
  const session = handle.prepare(
    `INSERT INTO sessions (${columns.join(", ")}, segments, turns)
     VALUES (${columns.map((name) => `@${name}`).join(", ")}, ${SEGMENTS_EACH}, 0)`,
  );
  const event = handle.prepare("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)");
  const segment = handle.prepare(
    "INSERT INTO segments VALUES (?, ?, ?, ?, 'ann', ?, ?, ?, 0, NULL)",
  );
  const text = "It is said that a river never is the same, however often one comes back to it.";
  const seedSession = (index: number) => {
    const at = NEWEST - (SESSIONS - index) * 60_000;
    const id = Bun.randomUUIDv7("hex", at);
    const end = { state: "ended", ended_at: at + 50_000, end_reason: "stopped" } as const;
    const row = { ...sessionOf(), ...end, id, started_at: at };
    session.run({ ...row, keyterms: "[]" });
    let seq = 0;
    const log = (type: string, data: unknown, interim = 0) =>
      event.run(id, ++seq, at + seq, type, JSON.stringify(data), interim);
    log("session", { state: "active" });
    for (let turn = 0; turn < SEGMENTS_EACH; turn++) {
      const role = turn % 2 === 0 ? "user" : "agent";
      const segment_id = `s${turn}`;
      log("agent_state", { state: turn % 2 === 0 ? "listening" : "speaking" });
      log("transcript", transcriptEvent(text, { segment_id, role }).data);
      segment.run(id, seq, segment_id, role, text, at, at + seq);
    }
    if (index >= SESSIONS - SESSIONS_WITH_INTERIMS) {
      const data = transcriptEvent(text, { segment_id: "s0", final: false }).data;
      for (let count = 0; count < INTERIMS_EACH; count++) log("transcript", data, 1);
    }
    log("session", { state: "ended", reason: "stopped" });
  };
  handle.transaction(() => {
    for (let index = 0; index < SESSIONS; index++) seedSession(index);
  })();
}
