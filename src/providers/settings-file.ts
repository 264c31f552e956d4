import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { type ProviderSettings, providerSettings } from "../domain/provider.ts";
import { codeOf, Failure } from "../errors.ts";
import { parseJson } from "../lib/json.ts";

/**
 * Reads the choices made on the page; without a file there are none.
 * @throws Failure when the file cannot be understood; the message quotes nothing of it
 */
export function readSettings(path: string): ProviderSettings {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    // A missing folder is reported when something is written to it.
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return { stages: {} };
    throw unreadable(path, String(codeOf(error)));
  }
  const parsed = providerSettings.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  const where = parsed.error.issues[0]?.path.join(".") || "its format";
  throw unreadable(path, `${where} is not as Parley writes it`);
}

/** Replaces the file atomically. It contains keys, so only its owner may read it. */
export function writeSettings(path: string, settings: ProviderSettings): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    // An existing file would keep its mode.
    rmSync(temporary, { force: true });
    writeFileSync(temporary, `${JSON.stringify(settings, null, 2)}\n`, {
      mode: 0o600,
      flush: true,
    });
    chmodSync(temporary, 0o600);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new Failure(
      "unavailable",
      `The settings could not be stored in ${path} (${codeOf(error)}): is the disk full, or the folder not Parley's?`,
      { cause: error },
    );
  }
}

function unreadable(path: string, why: string): Failure {
  return new Failure(
    "invalid",
    `${path} cannot be read (${why}): fix it, or move it away and choose the providers again`,
  );
}
