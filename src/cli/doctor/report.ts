import type { CheckResult, CheckStatus } from "./check.ts";

export interface Report {
  status: CheckStatus;
  checks: CheckResult[];
}

const MARKS: Record<CheckStatus, { mark: string; colour: number }> = {
  ok: { mark: "ok", colour: 32 },
  warning: { mark: "warning", colour: 33 },
  failed: { mark: "failed", colour: 31 },
};
const MARK_WIDTH = 7;

/** The worst of all checks is the state of the whole. */
export function reportOf(checks: CheckResult[]): Report {
  const worst = (["failed", "warning"] as const).find((status) =>
    checks.some((check) => check.status === status),
  );
  return { status: worst ?? "ok", checks };
}

/**
 * The report for people: a line a check, and below it how to mend what is not well.
 *
 * @param colours whether the reader is a terminal
 */
export function readable({ checks, status }: Report, colours: boolean): string {
  const width = Math.max(...checks.map(({ name }) => name.length));
  const paint = (text: string, code: number) => (colours ? `\x1b[${code}m${text}\x1b[0m` : text);
  const lines = checks.flatMap((check) => {
    const { mark, colour } = MARKS[check.status];
    const start = `${paint(mark.padEnd(MARK_WIDTH), colour)}  ${check.name.padEnd(width)}  `;
    const indent = " ".repeat(MARK_WIDTH + 2 + width + 2);
    return [start + check.detail, ...(check.mend === null ? [] : [`${indent}→ ${check.mend}`])];
  });
  return `${[...lines, "", paint(verdict(checks), MARKS[status].colour)].join("\n")}\n`;
}

function verdict(checks: CheckResult[]): string {
  const count = (status: CheckStatus) => checks.filter((one) => one.status === status).length;
  const [failures, warnings] = [count("failed"), count("warning")];
  if (failures > 0) return `${failures} of ${checks.length} checks failed.`;
  return warnings > 0 ? `Parley can run; ${warnings} to look at.` : "All is well.";
}
