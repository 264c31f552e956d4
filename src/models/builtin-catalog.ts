import type { Catalog } from "../domain/catalog.ts";
import { LANGUAGE_MODELS } from "./builtin-language-models.ts";
import { RECOGNISERS } from "./builtin-recognisers.ts";
import { VOICES } from "./builtin-voices.ts";

/** The built-in catalogue; sizes and hashes are those that the sources publish. */
export const BUILTIN_CATALOG: Catalog = [...RECOGNISERS, ...LANGUAGE_MODELS, ...VOICES];
