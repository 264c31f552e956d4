import { afterEach, beforeEach, expect, test } from "bun:test";
import { noticeEvent, openLog, range, transcriptEvent, upTo } from "../../test/event-log.ts";
import { RecentLog } from "./recent-log.ts";

let stored: ReturnType<typeof openLog>;
let recent: RecentLog;
let session: string;

beforeEach(() => {
  stored = openLog((envelope) => recent.add(envelope));
  recent = new RecentLog(stored.events);
  session = stored.begin();
});
afterEach(() => stored[Symbol.dispose]());

const seqs = (after: number, limit?: number) =>
  recent.read(session, after, limit).map(({ seq }) => seq);

/** Makes what is on disk differ from what is in memory. */
function forgetOnDisk(seq: number): void {
  stored.database.handle
    .prepare("delete from events where session_id = ? and seq = ?")
    .run(session, seq);
}

test("a running session is read from memory, without a gap and in pages", () => {
  for (const seq of range(2, 10)) {
    stored.log.append(session, transcriptEvent(`text ${seq}`, { final: false }));
  }
  for (const seq of range(2, 9)) forgetOnDisk(seq);
  expect(seqs(0)).toEqual(upTo(10));
  expect(seqs(3, 4)).toEqual([4, 5, 6, 7]);
  expect(seqs(10)).toEqual([]);
});

test("what is no longer in memory is read from the disk, and followed by what is", () => {
  for (const seq of range(2, 1500)) stored.log.append(session, noticeEvent(String(seq)));
  for (const seq of [300, 1200]) forgetOnDisk(seq);
  expect(seqs(0)).toEqual(upTo(1500).filter((seq) => seq !== 300));
  expect(seqs(250, 100)).toEqual([...range(251, 299), ...range(301, 351)]);
  expect(seqs(450, 100)).toEqual(range(451, 550));
  expect(seqs(500)).toEqual(range(501, 1500));
});

test("long texts count: a session takes no more than about a million characters", () => {
  for (const _ of range(2, 12)) stored.log.append(session, transcriptEvent("w".repeat(200_000)));
  for (const seq of [8, 9]) forgetOnDisk(seq);
  expect(seqs(7)).toEqual([9, 10, 11, 12]);
});

test("a session that has ended is kept for those who are behind, and nothing of a failed start", () => {
  const other = stored.begin();
  stored.log.append(session, transcriptEvent("half", { final: false }));
  stored.log.append(session, transcriptEvent("whole"));
  stored.log.discard(other);
  expect(recent.size).toBe(1);
  stored.log.end(session, "stopped");
  expect(seqs(0)).toEqual([1, 2, 3, 4]);
});

test("all that have ended take no more than about 300,000 characters, the newest stay", () => {
  const ended = range(1, 30).map(() => {
    const id = stored.begin();
    stored.log.append(id, transcriptEvent("half", { final: false }));
    stored.log.append(id, transcriptEvent("w".repeat(15_000)));
    stored.log.end(id, "stopped");
    return id;
  });
  expect(recent.size).toBe(1 + 18);
  const read = (id = "") => recent.read(id, 0).map(({ seq }) => seq);
  expect([read(ended[0]), read(ended.at(-1))]).toEqual([
    [1, 3, 4],
    [1, 2, 3, 4],
  ]);
});
