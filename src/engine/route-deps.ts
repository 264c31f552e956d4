import type { Logger } from "pino";
import type { Hearing } from "./hearing.ts";
import type { LoadedModels } from "./loaded-models.ts";

/** What the engine's routes are given. */
export interface RouteDeps {
  models: LoadedModels;
  hearing: () => Promise<Hearing>;
  logger: Logger;
}
