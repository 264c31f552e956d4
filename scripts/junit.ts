/** How many tests of a run passed and failed. */
export interface Tally {
  passed: number;
  failed: number;
}

/**
 * Reads the totals of a JUnit report as `bun test` writes it.
 *
 * @returns undefined when the text is no such report, as after a crash
 */
export function tallyOf(report: string): Tally | undefined {
  const root = /<testsuites\b[^>]*>/.exec(report)?.[0];
  if (!root || !report.includes("</testsuites>")) return undefined;
  const count = (name: string) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(root)?.[1] ?? 0);
  const failed = count("failures") + count("errors");
  return { passed: count("tests") - failed - count("skipped"), failed };
}
