import { readFileSync } from "node:fs";
import { codeOf } from "../errors.ts";

/** Whether a process of this machine runs, also one that belongs to another user. */
export function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return codeOf(error) !== "ESRCH";
  }
}

/**
 * When a process started, in clock ticks since the machine did: together with the PID this names one
 * process only. See proc_pid_stat(5).
 *
 * @returns undefined without /proc, or for a process that it does not show
 */
export function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name of the program, in parentheses, may contain anything.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}
