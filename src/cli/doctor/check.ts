import { Failure, messageOf } from "../../errors.ts";
import { DeadlineExceeded, withDeadline } from "../../lib/deadline.ts";

export type CheckStatus = "ok" | "warning" | "failed";

/** What a check found. Its texts never contain a secret. */
export interface Finding {
  status: CheckStatus;
  /** The state of the part, in one line. */
  detail: string;
  /** What to do about it. Missing when the status is `ok`. */
  hint?: string;
}

export interface Check {
  name: string;
  /** How long it may take, in ms. */
  deadlineMs: number;
  /** What to do when it takes longer. */
  timeoutHint: string;
  run(): Promise<Finding>;
}

/** A finding as `parley doctor --json` prints it. */
export interface CheckResult {
  name: string;
  status: CheckStatus;
  detail: string;
  hint: string | null;
  duration_ms: number;
}

export interface Report {
  status: CheckStatus;
  checks: CheckResult[];
}

export const ok = (detail: string): Finding => ({ status: "ok", detail });
export const warning = (detail: string, hint: string): Finding => ({
  status: "warning",
  detail,
  hint,
});
export const failed = (detail: string, hint: string): Finding => ({
  status: "failed",
  detail,
  hint,
});

/** Runs one check within its deadline. An exception or a timeout becomes a failed result. */
export async function runCheck(check: Check): Promise<CheckResult> {
  const startedAt = performance.now();
  const { status, detail, hint } = await withDeadline(
    check.run(),
    check.deadlineMs,
    check.name,
  ).catch((error: unknown) => findingOf(error, check));
  return {
    name: check.name,
    status,
    detail: oneLine(detail),
    hint: hint === undefined ? null : oneLine(hint),
    duration_ms: Math.round(performance.now() - startedAt),
  };
}

function findingOf(error: unknown, check: Check): Finding {
  if (error instanceof DeadlineExceeded) {
    return failed(`no answer within ${check.deadlineMs / 1000} s`, check.timeoutHint);
  }
  // The message of a Failure usually says what to do; any other error is a defect.
  const hint =
    error instanceof Failure
      ? "Follow the message above."
      : "Run Parley with LOG_LEVEL=debug to find the cause.";
  return failed(messageOf(error), hint);
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}

const MARK_WIDTH = 7;
const COLOURS: Record<CheckStatus, number> = { ok: 32, warning: 33, failed: 31 };

/** Puts the results together; the worst of them is the status of the whole. */
export function reportOf(checks: CheckResult[]): Report {
  const worst = (["failed", "warning"] as const).find((status) =>
    checks.some((check) => check.status === status),
  );
  return { status: worst ?? "ok", checks };
}

/**
 * Formats the report for people: one line for each check, followed by its hint.
 *
 * @param colours whether the output is a terminal
 */
export function formatReport({ checks, status }: Report, colours: boolean): string {
  const width = Math.max(...checks.map(({ name }) => name.length));
  const paint = (text: string, as: CheckStatus) =>
    colours ? `\x1b[${COLOURS[as]}m${text}\x1b[0m` : text;
  const lines = checks.flatMap((check) => {
    const mark = paint(check.status.padEnd(MARK_WIDTH), check.status);
    const indent = " ".repeat(MARK_WIDTH + 2 + width + 2);
    return [
      `${mark}  ${check.name.padEnd(width)}  ${check.detail}`,
      ...(check.hint === null ? [] : [`${indent}→ ${check.hint}`]),
    ];
  });
  return `${[...lines, "", paint(verdict(checks), status)].join("\n")}\n`;
}

function verdict(checks: CheckResult[]): string {
  const count = (status: CheckStatus) => checks.filter((check) => check.status === status).length;
  const [failures, warnings] = [count("failed"), count("warning")];
  if (failures > 0) return `${failures} of ${checks.length} checks failed.`;
  if (warnings === 0) return "All checks passed.";
  return `Parley can run, with ${warnings} ${warnings === 1 ? "warning" : "warnings"}.`;
}
