import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { totalmem } from "node:os";
import { dirname, join } from "node:path";
import { temporaryFolder } from "../../test/database.ts";
import { availableMemory } from "./machine.ts";

const GIB = 2 ** 30;

/** What is free where the system's files say this. */
function freeWith(files: Record<string, string>): number {
  using folder = temporaryFolder();
  const all = { "proc/meminfo": `MemTotal: 99 kB\nMemAvailable:    ${8 * 2 ** 20} kB\n`, ...files };
  for (const [path, content] of Object.entries(all)) {
    mkdirSync(dirname(join(folder.path, path)), { recursive: true });
    writeFileSync(join(folder.path, path), content);
  }
  return availableMemory(folder.path);
}

test("memory is what is available, not what the machine has", () => {
  expect(freeWith({})).toBe(8 * GIB);
  expect(availableMemory()).toBeLessThan(totalmem());
});

test("a container's limit counts, less what it uses, and cached files are free", () => {
  const limits = {
    "proc/self/cgroup": "0::/\n",
    "sys/fs/cgroup/memory.max": `${2 * GIB}\n`,
    "sys/fs/cgroup/memory.current": `${GIB}\n`,
  };
  expect(freeWith(limits)).toBe(GIB);
  const stat = `anon 5\ninactive_file ${GIB / 2}\n`;
  expect(freeWith({ ...limits, "sys/fs/cgroup/memory.stat": stat })).toBe(1.5 * GIB);
  expect(freeWith({ ...limits, "sys/fs/cgroup/memory.max": "max\n" })).toBe(8 * GIB);
});

test("a service's limit counts, and that of the slice around it, also with version 1", () => {
  const group = "0::/system.slice/parley.service\n";
  const slice = {
    "sys/fs/cgroup/system.slice/memory.max": `${3 * GIB}\n`,
    "sys/fs/cgroup/system.slice/memory.current": `${2 * GIB}\n`,
    "sys/fs/cgroup/system.slice/parley.service/memory.max": "max\n",
    "sys/fs/cgroup/system.slice/parley.service/memory.current": "1\n",
  };
  expect(freeWith({ "proc/self/cgroup": group, ...slice })).toBe(GIB);
  const version1 = {
    "proc/self/cgroup": "4:memory:/docker/x\n1:cpu:/\n0::/\n",
    "sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes": `${GIB}\n`,
    "sys/fs/cgroup/memory/docker/x/memory.usage_in_bytes": "0\n",
  };
  expect(freeWith(version1)).toBe(GIB);
});
