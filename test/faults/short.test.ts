import { expect, test } from "bun:test";
import { shortFaults } from "./all.ts";

// A part of `npm run test:faults`, with smaller numbers.

for (const { what, run } of shortFaults()) {
  test(what, async () => {
    const { seen, lost } = await run("short");
    expect(lost).toEqual([]);
    console.log(`  a person sees: ${seen}`);
  });
}
