import { availableParallelism } from "node:os";
import { join } from "node:path";
import { controlGroups, textOf } from "./control-groups.ts";

/**
 * How many processors can compute at full speed for this process. On Linux two threads of one core
 * count once, and only processors that the process may use, within the quota of its control groups.
 *
 * @param root where `/proc` and `/sys` are
 */
export function realProcessors(root = "/"): number {
  const allowed = /^Cpus_allowed_list:\s*(\S+)$/m.exec(textOf(join(root, "proc/self/status")))?.[1];
  const cores = new Set(
    numbersIn(allowed ?? "").map((number) => {
      const topology = join(root, `sys/devices/system/cpu/cpu${number}/topology`);
      return textOf(join(topology, "thread_siblings_list")).trim() || String(number);
    }),
  );
  const known = cores.size > 0 ? cores.size : availableParallelism();
  return Math.max(1, Math.floor(Math.min(known, ...controlGroups("cpu", root).map(quotaOf))));
}

/** The processors that a group may use; Infinity without a limit. */
function quotaOf(folder: string): number {
  const [, quota, period] =
    /^(\d+) (\d+)$/.exec(textOf(join(folder, "cpu.max")).trim()) ??
    /^(\d+) (\d+)$/.exec(
      ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
        .map((name) => textOf(join(folder, name)).trim())
        .join(" "),
    ) ??
    [];
  return quota === undefined ? Number.POSITIVE_INFINITY : Number(quota) / Number(period);
}

/** The numbers of a list such as "0-3,8". */
function numbersIn(list: string): number[] {
  return list.split(",").flatMap((range) => {
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(range) ?? [];
    if (first === undefined) return [];
    return Array.from({ length: Number(last) - Number(first) + 1 }, (_, at) => Number(first) + at);
  });
}
