import { homedir } from "node:os";
import { join } from "node:path";

/** The root folder of this checkout. */
export const ROOT = join(import.meta.dir, "..");

/** The cache folder that all checkouts on this machine share. */
export function userCache(): string {
  const cache = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  return join(cache, "parley");
}
