import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

type Variables = Readonly<Record<string, string | undefined>>;

/** Where the executable unpacks to: `PARLEY_CACHE_DIR`, or `parley` in the user's cache folder. */
export function cacheFolder(variables: Variables, platform = process.platform): string {
  const chosen = variables["PARLEY_CACHE_DIR"]?.trim();
  if (chosen) return isAbsolute(chosen) ? chosen : join(process.cwd(), chosen);
  if (platform === "win32") {
    const local = variables["LOCALAPPDATA"] || join(home(), "AppData", "Local");
    return join(local, "parley", "cache");
  }
  return join(xdg(variables["XDG_CACHE_HOME"]) ?? join(home(), ".cache"), "parley");
}

/** Where the executable keeps its data unless `DATA_DIR` is set. */
export function dataFolder(variables: Variables, platform = process.platform): string {
  if (platform === "win32") {
    const local = variables["LOCALAPPDATA"] || join(home(), "AppData", "Local");
    return join(local, "parley", "data");
  }
  return join(xdg(variables["XDG_DATA_HOME"]) ?? join(home(), ".local", "share"), "parley");
}

/** A user of a number alone, as in containers, has none: then what is kept stays where it runs. */
function home(): string {
  try {
    return homedir();
  } catch {
    return process.cwd();
  }
}

/** The standard says that a relative path is to be ignored. */
function xdg(folder: string | undefined): string | undefined {
  return folder && isAbsolute(folder) ? folder : undefined;
}
