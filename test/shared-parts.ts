import { initializeLogger } from "@livekit/agents";
import type { SharedParts } from "../src/agent/pipeline.ts";
import { loadVadModel } from "../src/agent/vad.ts";
import { ModelMemory } from "../src/providers/model-memory.ts";
import { sourceResources } from "../src/resources.ts";

/** What all pipelines of a process share; the caller releases `vadModel`. */
export async function loadSharedParts(): Promise<SharedParts> {
  initializeLogger({ pretty: false, level: "silent" });
  const { vadModel } = await sourceResources().speech();
  return { vadModel: await loadVadModel(vadModel), memory: new ModelMemory() };
}
