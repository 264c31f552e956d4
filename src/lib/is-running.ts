import { codeOf } from "../errors.ts";

/** Whether a process of this machine runs, also one that belongs to another user. */
export function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return codeOf(error) !== "ESRCH";
  }
}
