import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { temporaryFolder } from "../../test/database.ts";
import { realProcessors } from "./processors.ts";

/** Four cores of two threads each. */
const MACHINE = {
  "proc/self/status": "Name:\tparley\nCpus_allowed_list:\t0-7\n",
  "proc/self/cgroup": "0::/system.slice/parley.service\n",
  ...Object.fromEntries(
    Array.from({ length: 8 }, (_, at) => [
      `sys/devices/system/cpu/cpu${at}/topology/thread_siblings_list`,
      `${at % 4},${(at % 4) + 4}\n`,
    ]),
  ),
};

function processorsWith(files: Record<string, string>): number {
  using root = temporaryFolder();
  for (const [path, text] of Object.entries({ ...MACHINE, ...files })) {
    mkdirSync(dirname(join(root.path, path)), { recursive: true });
    writeFileSync(join(root.path, path), text);
  }
  return realProcessors(root.path);
}

test("threads of one core count once, and processors of others do not", () => {
  expect(processorsWith({})).toBe(4);
  expect(processorsWith({ "proc/self/status": "Cpus_allowed_list:\t0,4,6\n" })).toBe(2);
});

test("the quota of every control group counts", () => {
  const group = "sys/fs/cgroup/system.slice";
  expect(processorsWith({ [`${group}/cpu.max`]: "250000 100000\n" })).toBe(2);
  expect(processorsWith({ [`${group}/parley.service/cpu.max`]: "50000 100000\n" })).toBe(1);
  expect(processorsWith({ [`${group}/cpu.max`]: "max 100000\n" })).toBe(4);
  const version1 = {
    "proc/self/cgroup": "4:memory:/\n3:cpu,cpuacct:/docker\n",
    "sys/fs/cgroup/cpu/docker/cpu.cfs_quota_us": "300000\n",
    "sys/fs/cgroup/cpu/docker/cpu.cfs_period_us": "100000\n",
  };
  expect(processorsWith(version1)).toBe(3);
  const unlimited = { ...version1, "sys/fs/cgroup/cpu/docker/cpu.cfs_quota_us": "-1\n" };
  expect(processorsWith(unlimited)).toBe(4);
});
