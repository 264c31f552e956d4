import { expect, test } from "bun:test";
import Sqlite from "better-sqlite3";
import { sessionOf, temporaryStores } from "../../test/database.ts";
import { transcriptEvent } from "../../test/event-log.ts";
import { Failure, messageOf } from "../errors.ts";

type Store = ReturnType<typeof temporaryStores>;

function fill({ database: { handle } }: Store) {
  const limit = handle.pragma("max_page_count", { simple: true });
  handle.pragma(`max_page_count = ${handle.pragma("page_count", { simple: true })}`);
  return () => void handle.pragma(`max_page_count = ${limit}`);
}

function lock({ path }: Store) {
  const other = new Sqlite(path);
  other.exec("begin immediate");
  return () => void other.close();
}

test.each([
  ["a full disk", fill, "is full. Free some space there."],
  ["another program that writes", lock, "another program has locked"],
] as const)("%s is named, and afterwards the log goes on without a gap", (_what, harm, words) => {
  using store = temporaryStores();
  const session = sessionOf();
  store.log.begin(session);
  const long = transcriptEvent("w".repeat(100_000));
  const heal = harm(store);
  const writes = [
    () => store.log.append(session.id, long),
    () => store.log.append(session.id, transcriptEvent("w".repeat(100_000), { final: false })),
    () => store.log.begin(sessionOf({ system_prompt: "w".repeat(100_000) })),
  ];
  // As often as a conversation tries in seconds: waiting 5 s each time would be the runner's end.
  for (const write of Array.from({ length: 20 }, () => writes).flat()) {
    let refused: unknown;
    try {
      write();
    } catch (error) {
      refused = error;
    }
    expect(refused).toBeInstanceOf(Failure);
    expect(messageOf(refused)).toContain(words);
    expect(store.database.handle.inTransaction).toBe(false);
  }
  heal();
  expect(store.log.append(session.id, long).seq).toBe(2);
  store.log.end(session.id, "stopped");
  expect(store.transcripts.read(session.id, 0)).toEqual(store.published);
  expect(store.published.map(({ seq }) => seq)).toEqual([1, 2, 3]);
  expect(store.database.handle.pragma("integrity_check", { simple: true })).toBe("ok");
});
