import { expect, test } from "bun:test";
import { failuresOf, tallyOf } from "./junit.ts";

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

test("each failed test is named with its file and the first line of why", () => {
  const report = `<testsuites tests="3" failures="2">
    <testcase name="a &quot;b&quot; &amp; c" classname="in &gt; out" time="0.1" file="src/x.test.ts" line="2">
      <failure type="AssertionError" message="expected 1&#10;received 2">a trace</failure>
    </testcase>
    <testcase name="passes" classname="" file="src/x.test.ts" />
    <testcase name="throws" classname="" file="src/y.test.ts" assertions="0">
      <failure type="Error" message="boom">Error: boom</failure>
    </testcase>
  </testsuites>`;
  expect(failuresOf(report)).toEqual([
    'src/x.test.ts: in > out > a "b" & c: expected 1',
    "src/y.test.ts: throws: boom",
  ]);
});
