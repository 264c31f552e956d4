import { existsSync, readdirSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Parley, startParley } from "../parley.ts";

const ROOT = join(import.meta.dir, "../..");

/** `PARLEY_COMMAND`, as `npm test` has built it; else `dist/parley`, built from the sources. */
export async function executable(): Promise<string> {
  const given = Bun.env["PARLEY_COMMAND"];
  if (given) return given;
  const build = Bun.spawn([process.execPath, join(ROOT, "scripts/build.ts"), "--variant=full"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const errors = await new Response(build.stderr).text();
  if ((await build.exited) !== 0) throw new Error(errors);
  return join(ROOT, "dist/parley");
}

/**
 * A machine with nothing on it: the executable in an empty folder, a home of its own, no PATH.
 * All of it is gone at the end of its scope.
 */
export class Machine implements AsyncDisposable {
  readonly folder: string;
  readonly parley: string;
  readonly home: string;
  /** Where the executable unpacks to by itself. */
  readonly cache: string;

  private constructor(folder: string) {
    this.folder = folder;
    this.parley = join(folder, "empty", "parley");
    this.home = join(folder, "home");
    this.cache = join(this.home, ".cache", "parley");
  }

  static async with(executable: string): Promise<Machine> {
    const machine = new Machine(await mkdtemp(join(tmpdir(), "parley-machine-")));
    await mkdir(join(machine.folder, "empty"));
    await mkdir(machine.home);
    await copyFile(executable, machine.parley);
    return machine;
  }

  /** The whole environment of the executable, which is nearly empty. */
  get environment(): Record<string, string> {
    return { HOME: this.home, PATH: "/nonexistent" };
  }

  /** Runs a command to its end. */
  async run(args: string[], env: Record<string, string> = {}, command = [this.parley]) {
    const child = Bun.spawn([...command, ...args], {
      cwd: join(this.folder, "empty"),
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...this.environment, ...env },
    });
    const [out, err] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    return { code: await child.exited, out, err };
  }

  /** Starts the server and waits until it listens. */
  start(env: Record<string, string> = {}): Promise<Parley> {
    return startParley({
      command: [this.parley],
      alone: true,
      dataDir: join(this.home, "data"),
      env: { ...this.environment, ...env },
    });
  }

  /** What has been unpacked: paths relative to the cache folder, with process ids left out. */
  unpacked(): string[] {
    if (!existsSync(this.cache)) return [];
    return readdirSync(this.cache, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.startsWith(".used-"))
      .map((entry) => join(entry.parentPath, entry.name).slice(this.cache.length + 1))
      .sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Waits until something holds that no event tells of. */
export async function until(holds: () => boolean, ms = 20_000): Promise<void> {
  for (const deadline = Date.now() + ms; !holds(); await Bun.sleep(2)) {
    if (Date.now() > deadline) throw new Error(`not within ${ms} ms: ${holds}`);
  }
}
