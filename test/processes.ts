import { readdirSync, readFileSync } from "node:fs";

/** The processes that a process has started (Linux). */
export function childrenOf(pid: number): number[] {
  const threads = readdirSync(`/proc/${pid}/task`);
  return threads.flatMap((thread) => {
    const children = readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8");
    return children.split(" ").filter(Boolean).map(Number);
  });
}

/** The livekit-server that a Parley runs. @throws Error when there is none */
export function liveKitOf(pid: number): number {
  const found = childrenOf(pid).find((child) =>
    readFileSync(`/proc/${child}/cmdline`, "utf8").includes("livekit-server"),
  );
  if (found === undefined) throw new Error("Parley has no livekit-server");
  return found;
}

/** What this process has allocated, without files and code, in bytes (Linux). */
export function anonymousBytes(): number {
  const rollup = readFileSync("/proc/self/smaps_rollup", "utf8");
  return Number(/^Anonymous: +(\d+) kB$/m.exec(rollup)?.[1]) * 1024;
}
