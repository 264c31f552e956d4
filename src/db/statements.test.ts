import { expect, test } from "bun:test";
import { temporaryDatabase } from "../../test/database.ts";
import * as statements from "./statements.ts";

/** The only scan that is allowed: of an index that has live sessions alone. */
const LIVE = /^SCAN sessions USING (COVERING )?INDEX sessions_live$/;

test("no statement reads or sorts more than it answers, however long the history is", () => {
  using temporary = temporaryDatabase();
  const { database } = temporary;
  const prepared = Object.values(statements).flatMap((prepare) =>
    Object.entries(prepare(database)).map(([name, statement]) => ({ name, statement })),
  );
  expect(prepared.length).toBeGreaterThan(20);
  const costly = prepared.flatMap(({ name, statement }) => {
    const { sql } = statement.getQuery();
    const values = [...sql.matchAll(/\?/g)].map(() => null);
    const plan = database.handle.prepare(`explain query plan ${sql}`).all(...values);
    return plan
      .map((row) => Object(row).detail)
      .filter((step) => /SCAN|TEMP B-TREE/.test(step) && !LIVE.test(step))
      .map((step) => `${name}: ${step}`);
  });
  expect(costly).toEqual([]);
});
