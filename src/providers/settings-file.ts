import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { type ProviderSettings, providerSettings } from "../domain/provider.ts";
import { Failure } from "../errors.ts";

/**
 * Reads what was chosen on the page; nothing was if there is no file.
 * @throws Failure when the file cannot be understood; it quotes nothing of it
 */
export function readSettings(path: string): ProviderSettings {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    // Where the folder itself is none, whoever writes there says so.
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return { stages: {} };
    throw unreadable(path, String(codeOf(error)));
  }
  const parsed = providerSettings.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  const where = parsed.error.issues[0]?.path.join(".") || "its form";
  throw unreadable(path, `${where} is not as Parley writes it`);
}

/** Replaces the file at once; it holds keys, so only its owner may read it. */
export function writeSettings(path: string, settings: ProviderSettings): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const aside = `${path}.${process.pid}.tmp`;
  try {
    // A file that is there already would keep its mode.
    rmSync(aside, { force: true });
    writeFileSync(aside, `${JSON.stringify(settings, null, 2)}\n`, { mode: 0o600, flush: true });
    chmodSync(aside, 0o600);
    renameSync(aside, path);
  } catch (error) {
    rmSync(aside, { force: true });
    throw new Failure(
      "unavailable",
      `The settings could not be stored in ${path} (${codeOf(error)}): is the disk full, or the folder not Parley's?`,
      { cause: error },
    );
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function unreadable(path: string, why: string): Failure {
  return new Failure(
    "invalid",
    `${path} cannot be read (${why}): mend it, or move it away and choose the providers anew`,
  );
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
