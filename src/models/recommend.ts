import { availableParallelism, totalmem } from "node:os";
import type { Catalog, CatalogModel, ModelSize } from "../domain/catalog.ts";
import { STAGES, type Stage } from "../domain/stage.ts";

export interface Machine {
  /** Total memory, in bytes. */
  memory: number;
  cores: number;
}

const GIB = 2 ** 30;
/** Memory for the system, Parley and the browser. */
const RESERVED = 2 * GIB;

export function thisMachine(): Machine {
  return { memory: totalmem(), cores: availableParallelism() };
}

/** The largest size that this machine runs fast enough for a conversation. */
function sizeFor(stage: Stage, { memory, cores }: Machine): ModelSize {
  if (memory < 4 * GIB) return "small";
  if (memory >= 16 * GIB && cores >= 8) return "large";
  // A small voice starts to speak sooner; larger ones need more cores.
  if (stage === "tts") return cores >= 6 ? "medium" : "small";
  return "medium";
}

/**
 * Chooses the best model of each stage for a machine, so that they fit into its memory together.
 *
 * @returns ids by stage, without the stages that have no model in the catalogue
 */
export function recommended(catalog: Catalog, machine: Machine): Partial<Record<Stage, string>> {
  let left = Math.max(0, machine.memory - RESERVED);
  const chosen: Partial<Record<Stage, string>> = {};
  for (const stage of STAGES) {
    const model = best(
      catalog.filter((one) => one.stage === stage),
      sizeFor(stage, machine),
      left,
    );
    if (!model) continue;
    chosen[stage] = model.id;
    left = Math.max(0, left - model.memory);
  }
  return chosen;
}

const ORDER: readonly ModelSize[] = ["small", "medium", "large"];

/** The largest model up to `size` that fits into `memory`; if none fits, the smallest of all. */
function best(
  models: readonly CatalogModel[],
  size: ModelSize,
  memory: number,
): CatalogModel | undefined {
  const largest = ORDER.indexOf(size);
  const bySize = models.toSorted((a, b) => ORDER.indexOf(b.size) - ORDER.indexOf(a.size));
  return (
    bySize.find((one) => ORDER.indexOf(one.size) <= largest && one.memory <= memory) ??
    models.toSorted((a, b) => a.memory - b.memory)[0]
  );
}
