import { expect, test } from "bun:test";
import { tallyOf } from "./junit.ts";

test("the totals are read; skipped tests count as neither", () => {
  const report = `<?xml version="1.0"?>
<testsuites name="bun test" tests="7" assertions="9" failures="2" skipped="1" time="0.1">
  <testsuite name="a" tests="7" failures="2"></testsuite>
</testsuites>`;
  expect(tallyOf(report)).toEqual({ passed: 4, failed: 2 });
});

test("no report, or a piece of one, has no totals", () => {
  expect(tallyOf("")).toBeUndefined();
  expect(tallyOf('<testsuites tests="3" failures="0">')).toBeUndefined();
});
