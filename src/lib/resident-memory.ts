import { readFileSync } from "node:fs";

/** What a process takes of the memory, in bytes; undefined where the system does not say (Linux does). */
export function residentMemory(pid: number): number | undefined {
  try {
    const kib = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return kib === undefined ? undefined : Number(kib) * 1024;
  } catch {
    return undefined;
  }
}
