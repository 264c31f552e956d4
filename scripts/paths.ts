import { homedir } from "node:os";
import { join } from "node:path";

/** Parley's folder. */
export const ROOT = join(import.meta.dir, "..");

/** What checkouts of Parley on this machine share. */
export function userCache(): string {
  const cache = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  return join(cache, "parley");
}
