import { chmod, copyFile, link, realpath, rename, rm, stat } from "node:fs/promises";
import { codeOf, Failure, messageOf } from "../errors.ts";

/** How long a new version may take to print its version, in ms. */
const VERSION_TIMEOUT_MS = 30_000;
const EXECUTABLE = 0o111;

/**
 * An executable that can be replaced while it runs. The one before is kept beside it, as `NAME.old`;
 * at every moment there is a whole executable under the name.
 */
export class InstalledExecutable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** @param path may be a link, which stays one */
  static async at(path: string): Promise<InstalledExecutable> {
    return new InstalledExecutable(await realpath(path));
  }

  /** Where a new version is downloaded to: on the same file system, so that a rename replaces. */
  get next(): string {
    return `${this.path}.new`;
  }

  get previous(): string {
    return `${this.path}.old`;
  }

  /**
   * Puts the file at `next` in place, once it has proved to run here and to be the right version.
   *
   * @throws Failure with nothing changed
   */
  async replace(version: string): Promise<void> {
    try {
      const { mode } = await stat(this.path);
      await chmod(this.next, mode | EXECUTABLE);
      const found = await versionOf(this.next);
      if (found !== version) {
        throw new Failure(
          "unavailable",
          `the new version does not run here, so nothing was changed: ${found ?? "it prints no version"}`,
        );
      }
      await this.#swap(this.next);
    } finally {
      await rm(this.next, { force: true });
    }
  }

  /**
   * Exchanges the executable and the one before. A second time undoes the first.
   *
   * @returns the version that is in place now
   * @throws Failure with nothing changed
   */
  async rollBack(): Promise<string> {
    const version = await versionOf(this.previous);
    if (version === undefined) {
      throw new Failure("not_found", `there is no earlier version at ${this.previous}`);
    }
    // The earlier one is renamed first, since its name is needed for the one that it replaces.
    await rename(this.previous, this.next).catch((error) => refuse(error, this.path));
    try {
      await this.#swap(this.next);
    } catch (error) {
      await rename(this.next, this.previous);
      throw error;
    }
    return version;
  }

  async #swap(from: string): Promise<void> {
    const aside = `${this.path}.aside`;
    try {
      await rm(aside, { force: true });
      if (process.platform === "win32") {
        // Windows does not overwrite a program that runs, but renames it.
        await rm(this.previous, { force: true });
        await rename(this.path, this.previous);
        await rename(from, this.path).catch(async (error) => {
          await rename(this.previous, this.path);
          throw error;
        });
        return;
      }
      await link(this.path, aside).catch(() => copyFile(this.path, aside));
      await rename(aside, this.previous);
      await rename(from, this.path);
    } catch (error) {
      refuse(error, this.path);
    }
  }
}

/** @throws Failure that says why an executable cannot be written, or the error */
export function refuse(error: unknown, path: string): never {
  const code = codeOf(error) ?? "";
  if (["EACCES", "EPERM", "EROFS", "EBUSY"].includes(code)) {
    throw new Failure(
      "unavailable",
      `${path} cannot be replaced (${code}): run \`parley update\` as the user who installed it`,
      { cause: error },
    );
  }
  throw error;
}

/** What a program prints as its version; undefined if it does not run. */
async function versionOf(path: string): Promise<string | undefined> {
  try {
    const child = Bun.spawn([path, "--version"], {
      stdio: ["ignore", "pipe", "ignore"],
      timeout: VERSION_TIMEOUT_MS,
      killSignal: "SIGKILL",
    });
    const text = await new Response(child.stdout).text();
    return (await child.exited) === 0 ? text.trim().slice(0, 100) : undefined;
  } catch (error) {
    return codeOf(error) === "ENOENT" ? undefined : messageOf(error);
  }
}
