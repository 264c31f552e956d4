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

/** The failed tests of such a report, a line each: the file, the test, and the first line of why. */
export function failuresOf(report: string): string[] {
  const cases = report.matchAll(/<testcase\b([^>]*)>\s*<failure\b([^>]*)>/g);
  return [...cases].map(([, ofCase = "", ofFailure = ""]) => {
    const names = [attribute(ofCase, "classname"), attribute(ofCase, "name")].filter(Boolean);
    const [why = ""] = attribute(ofFailure, "message").split("\n");
    return `${attribute(ofCase, "file")}: ${names.join(" > ")}: ${why}`;
  });
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&apos;": "'",
  "&#10;": "\n",
  "&amp;": "&",
};

function attribute(tag: string, name: string): string {
  const value = new RegExp(`\\b${name}="([^"]*)"`).exec(tag)?.[1] ?? "";
  return value.replace(/&(?:lt|gt|quot|apos|amp|#10);/g, (entity) => ENTITIES[entity] ?? entity);
}
