import { Failure, messageOf } from "../../errors.ts";
import { DeadlineExceeded, withDeadline } from "../../lib/deadline.ts";

export type CheckStatus = "ok" | "warning" | "failed";

/** What a check found. None of its texts holds a secret. */
export interface Finding {
  status: CheckStatus;
  /** One line: what is. */
  detail: string;
  /** In plain words, what to do about it; unless it is ok. */
  mend?: string;
}

export interface Check {
  name: string;
  /** How long it may take, in ms. */
  deadlineMs: number;
  /** What to do when it takes longer. */
  mendLate: string;
  run(): Promise<Finding>;
}

export interface CheckResult {
  name: string;
  status: CheckStatus;
  detail: string;
  mend: string | null;
  duration_ms: number;
}

export const ok = (detail: string): Finding => ({ status: "ok", detail });
export const warning = (detail: string, mend: string): Finding => ({
  status: "warning",
  detail,
  mend,
});
export const failed = (detail: string, mend: string): Finding => ({
  status: "failed",
  detail,
  mend,
});

/** Runs one check within its time. Whatever it throws is a finding too. */
export async function runCheck(check: Check): Promise<CheckResult> {
  const startedAt = performance.now();
  const { status, detail, mend } = await withDeadline(
    check.run(),
    check.deadlineMs,
    check.name,
  ).catch((error: unknown) => findingOf(error, check));
  return {
    name: check.name,
    status,
    detail: oneLine(detail),
    mend: mend === undefined ? null : oneLine(mend),
    duration_ms: Math.round(performance.now() - startedAt),
  };
}

function findingOf(error: unknown, check: Check): Finding {
  if (error instanceof DeadlineExceeded) {
    return failed(`no answer within ${check.deadlineMs / 1000} s`, check.mendLate);
  }
  // A Failure is written for people and mostly says what to do; anything else is a surprise.
  const mend =
    error instanceof Failure
      ? "Do what the line above says."
      : "Start Parley with LOG_LEVEL=debug.";
  return failed(messageOf(error), mend);
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}
