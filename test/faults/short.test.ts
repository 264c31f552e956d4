import { expect, test } from "bun:test";
import { shortFaults } from "./all.ts";

// A part of `npm run test:faults`, with smaller numbers.

for (const { what, run } of shortFaults()) {
  test(what, async () => {
    const outcome = await run("short");
    for (const cell of Array.isArray(outcome) ? outcome : [{ what, outcome }]) {
      expect(cell).toMatchObject({ what: cell.what, outcome: { lost: [] } });
    }
  });
}
