import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

type Variables = Readonly<Record<string, string | undefined>>;

/**
 * The folder that the executable unpacks its files to: `PARLEY_CACHE_DIR`, or `parley` in the user's
 * cache folder.
 */
export function cacheFolder(variables: Variables, platform = process.platform): string {
  const chosen = variables["PARLEY_CACHE_DIR"]?.trim();
  if (chosen) return isAbsolute(chosen) ? chosen : join(process.cwd(), chosen);
  if (platform === "win32") {
    const local = variables["LOCALAPPDATA"] || join(home(), "AppData", "Local");
    return join(local, "parley", "cache");
  }
  return join(xdg(variables["XDG_CACHE_HOME"]) ?? join(home(), ".cache"), "parley");
}

/** The folder that the executable keeps its data in if `DATA_DIR` is not set. */
export function dataFolder(variables: Variables, platform = process.platform): string {
  if (platform === "win32") {
    const local = variables["LOCALAPPDATA"] || join(home(), "AppData", "Local");
    return join(local, "parley", "data");
  }
  return join(xdg(variables["XDG_DATA_HOME"]) ?? join(home(), ".local", "share"), "parley");
}

/** In containers a user may have only a number and no home: then the working directory is used. */
function home(): string {
  try {
    return homedir();
  } catch {
    return process.cwd();
  }
}

/** The XDG Base Directory Specification says that relative paths must be ignored. */
function xdg(folder: string | undefined): string | undefined {
  return folder && isAbsolute(folder) ? folder : undefined;
}
