import { availableParallelism, totalmem } from "node:os";
import type { Catalog, CatalogModel, ModelSize } from "../domain/catalog.ts";
import { STAGES, type Stage } from "../domain/stage.ts";

export interface Machine {
  /** Bytes of memory in all. */
  memory: number;
  cores: number;
}

const GIB = 2 ** 30;
/** For the system, Parley and the browser. */
const RESERVED = 2 * GIB;

export function thisMachine(): Machine {
  return { memory: totalmem(), cores: availableParallelism() };
}

/** The size that a machine runs quickly enough to talk with, as far as its memory goes. */
function sizeFor(stage: Stage, { memory, cores }: Machine): ModelSize {
  if (memory < 4 * GIB) return "small";
  if (memory >= 16 * GIB && cores >= 8) return "large";
  // A small voice speaks sooner; larger ones want cores to spare.
  if (stage === "tts") return cores >= 6 ? "medium" : "small";
  return "medium";
}

/**
 * The models that suit a machine best: one a stage, that fit into its memory together.
 *
 * @returns ids by stage; a stage that the catalogue has nothing for is left out
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

/** The largest of at most this size that fits; the smallest of all where none does. */
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
