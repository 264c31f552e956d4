import { availableParallelism, totalmem } from "node:os";
import { join } from "node:path";
import { controlGroups, textOf } from "../lib/control-groups.ts";
import { once, onceSync } from "../lib/lazy.ts";
import { type Measurements, readMeasurements } from "./measurements.ts";
import { type MachineSpeed, probeSpeed } from "./speed-probe.ts";

/** What a recommendation knows of a machine. */
export interface Machine {
  /** Memory that models can take without driving other programs out, in bytes. */
  memory: number;
  speed: MachineSpeed;
  /** What was measured here, which counts more than an estimate from the speed. */
  measured: Measurements;
}

/** Of memory that a system other than Linux does not report as used, models can take this share. */
const SHARE_ELSEWHERE = 0.6;
/** One processor's part, where the probe fails: that of a small server. */
const SPEED_OF_A_PROCESSOR = { multiplyAddsPerSecond: 1.5e9, bytesPerSecond: 5e9 };

/**
 * This machine, with the memory that is free when it is first asked for, before models fill it.
 *
 * @param folder of the models, where the measurements are
 */
export function thisMachine(folder: string): () => Promise<Machine> {
  const memory = onceSync(() => availableMemory());
  return async () => ({
    memory: memory(),
    speed: await speedOfThisMachine(),
    measured: readMeasurements(folder),
  });
}

const speedOfThisMachine: () => Promise<MachineSpeed> = once(async () => {
  try {
    return await probeSpeed();
  } catch {
    const processors = availableParallelism();
    const { multiplyAddsPerSecond, bytesPerSecond } = SPEED_OF_A_PROCESSOR;
    return {
      multiplyAddsPerSecond: processors * multiplyAddsPerSecond,
      bytesPerSecond: processors * bytesPerSecond,
    };
  }
});

/**
 * Memory that is free or could be at once, in bytes: of the machine, and of each control group that
 * this process is in, as containers and services have them.
 *
 * @param root where `/proc` and `/sys` are
 */
export function availableMemory(root: string = "/"): number {
  const free = /^MemAvailable: +(\d+) kB$/m.exec(textOf(join(root, "proc/meminfo")))?.[1];
  if (free === undefined) return totalmem() * SHARE_ELSEWHERE;
  return Math.max(
    0,
    Math.min(Number(free) * 1024, ...controlGroups("memory", root).map(freeInGroup)),
  );
}

/** Infinity for a group without a limit. Cached files count as free, because they can be dropped. */
function freeInGroup(folder: string): number {
  const limit = numberIn(folder, "memory.max") ?? numberIn(folder, "memory.limit_in_bytes");
  const used = numberIn(folder, "memory.current") ?? numberIn(folder, "memory.usage_in_bytes");
  if (limit === undefined || used === undefined) return Number.POSITIVE_INFINITY;
  const cached = /^(?:total_)?inactive_file (\d+)$/m.exec(textOf(join(folder, "memory.stat")));
  return limit - used + Number(cached?.[1] ?? 0);
}

function numberIn(folder: string, name: string): number | undefined {
  const text = textOf(join(folder, name)).trim();
  return /^\d+$/.test(text) ? Number(text) : undefined;
}
