import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { residentMemory } from "../src/lib/resident-memory.ts";
import { startParley } from "../test/parley.ts";
import { startOnce } from "./start-up.ts";

const DIST = join(import.meta.dir, "../dist");
const MIB = 2 ** 20;

const partList = z.array(z.object({ name: z.string(), size: z.number(), packed: z.number() }));

export interface ExecutableFigures {
  /** Name, size and size inside the executable of each part, MiB; the largest first. */
  parts: [name: string, size: number, packed: number][];
  /** Process start to the first answer on `/health`, ms: all unpacked before, and nothing. */
  warm: number[];
  cold: number[];
  /**
   * Process start to "ready for conversations" when somebody opens the page at once: nothing
   * unpacked before, own LiveKit, ms.
   */
  coldReady: number[];
  /** The longest that `/health` took to answer between the two, ms. */
  longestBlock: number[];
  /** Resident memory at rest, all started but nobody there, and with the agent stack loaded, MiB. */
  restingMiB: number[];
  loadedMiB: number[];
}

/** Measures an executable in `dist/`; undefined when it has not been built. */
export async function measureExecutable(
  name: "parley" | "parley-slim" | "parley-offline",
  runs: number,
): Promise<ExecutableFigures | undefined> {
  const executable = join(DIST, name);
  if (!existsSync(executable)) return undefined;
  const listed = partList.parse(await Bun.file(`${executable}.parts.json`).json());
  const figures: ExecutableFigures = {
    parts: listed
      .map(({ name, size, packed }): [string, number, number] => [name, size / MIB, packed / MIB])
      .sort((a, b) => b[2] - a[2]),
    warm: [],
    cold: [],
    coldReady: [],
    longestBlock: [],
    restingMiB: [],
    loadedMiB: [],
  };
  const work = await mkdtemp(join(tmpdir(), "parley-bench-"));
  const folder = (name: string) => ({
    HOME: work,
    DATA_DIR: join(work, "data"),
    PARLEY_CACHE_DIR: join(work, name),
  });
  try {
    await startOnce([executable], folder("warm"));
    for (let run = 0; run < runs; run += 1) {
      figures.warm.push(await startOnce([executable], folder("warm")));
      figures.cold.push(await startOnce([executable], folder(`cold-${run}`)));
      if (name === "parley") {
        await measureFirstStart(executable, folder(`first-${run}`), figures);
        figures.restingMiB.push(await restingMiB(executable, folder(`first-${run}`)));
      }
    }
    return figures;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** A first start as a person sees it, asked on `/health` all the while. */
async function measureFirstStart(
  executable: string,
  env: Record<string, string>,
  figures: ExecutableFigures,
): Promise<void> {
  const startedAt = performance.now();
  await using parley = await startParley({
    command: [executable],
    alone: true,
    dataDir: join(env["PARLEY_CACHE_DIR"] ?? "", "data"),
    env,
  });
  const longest = await parley.longestStall(parley.ready(), 2);
  figures.coldReady.push(performance.now() - startedAt);
  figures.longestBlock.push(longest);
  figures.loadedMiB.push(await residentMiB(parley.process.pid));
}

/** What Parley takes while nobody is there, its LiveKit not counted. */
async function restingMiB(executable: string, env: Record<string, string>): Promise<number> {
  await using parley = await startParley({ command: [executable], alone: true, env });
  await parley.fetch("/health");
  return residentMiB(parley.process.pid);
}

/** Resident memory of a process; Linux only, else NaN. */
export async function residentMiB(pid: number): Promise<number> {
  return (residentMemory(pid) ?? Number.NaN) / MIB;
}
