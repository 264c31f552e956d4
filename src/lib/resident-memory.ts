import { readFile } from "node:fs/promises";

/** What a process takes of the memory, in bytes; undefined where the system does not say (Linux does). */
export async function residentMemory(pid: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  const kib = /VmRSS:\s+(\d+)/.exec(status)?.[1];
  return kib === undefined ? undefined : Number(kib) * 1024;
}
