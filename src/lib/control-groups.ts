import { readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * The folders of the control groups of this process, up to the root (cgroups(7)).
 *
 * @param controller whose groups are meant where each has its own (version 1)
 * @param root where `/proc` and `/sys` are
 */
export function controlGroups(controller: "memory" | "cpu", root: string): string[] {
  const lines = textOf(join(root, "proc/self/cgroup")).trim().split("\n");
  return lines.flatMap((line) => {
    const [, controllers = "", path = "/"] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    const isVersion1 = controllers.split(",").includes(controller);
    if (controllers !== "" && !isVersion1) return [];
    const folder = join(root, isVersion1 ? `sys/fs/cgroup/${controller}` : "sys/fs/cgroup");
    const parts = path.split("/").filter(Boolean);
    return Array.from({ length: parts.length + 1 }, (_, at) => join(folder, ...parts.slice(0, at)));
  });
}

/** A file of the system's, such as `/proc/meminfo`; empty where there is none. */
export function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
