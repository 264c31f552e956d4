import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import type { MigrationMeta } from "drizzle-orm/migrator";
import type { MaintenanceModule } from "./db/maintenance.ts";
import { readMigrations } from "./db/migrations.ts";

/** Files that browsers load, by paths such as `/parley.css`. */
export interface AssetSource {
  names(): ReadonlySet<string>;
  /** @param path one of `names()` */
  read(path: string): Uint8Array<ArrayBuffer>;
}

/**
 * Everything that Parley needs besides its own code. In a source tree it is in folders
 * (`sourceResources`), in an executable it is inside the file (`embedded/resources.ts`).
 */
export interface Resources {
  readonly assets: AssetSource;
  /** Oldest first. */
  migrations(): readonly MigrationMeta[];
  /** Makes SQLite's library loadable. Await it before a database is opened. */
  database(): Promise<MaintenanceModule>;
  /** Makes the libraries of the agent stack loadable. Await it before the stack is imported. */
  speech(): Promise<SpeechFiles>;
  /**
   * Makes the engine's libraries loadable. Await it before local models run in this process.
   * Undefined if this build has no engine.
   */
  readonly engine: (() => Promise<void>) | undefined;
  /** Makes llama.cpp come from a folder with a build for a GPU. Call it before the engine loads it. */
  readonly useLlama: ((folder: string) => void) | undefined;
  /** Returns the path of the embedded livekit-server; undefined if there is none. */
  readonly livekitServer: (() => Promise<string>) | undefined;
}

export interface SpeechFiles {
  /** Path of the Silero model, which detects speech. */
  vadModel: string;
}

/** The resources in the source tree and in `node_modules/`. */
export function sourceResources(): Resources {
  const root = join(import.meta.dir, "..");
  return {
    assets: assetFolder(join(root, "public")),
    migrations: () => readMigrations(join(root, "drizzle")),
    // In node_modules the packages find their own libraries.
    database: async () => ({ path: new URL("db/maintenance-worker.ts", import.meta.url) }),
    speech: async () => {
      const plugin = createRequire(import.meta.url).resolve("@livekit/agents-plugin-silero");
      return { vadModel: join(dirname(plugin), "silero_vad.onnx") };
    },
    engine: async () => {},
    useLlama: linkLlama,
    livekitServer: undefined,
  };
}

/** node-llama-cpp looks for builds in a folder of its own before it looks for packages. */
function linkLlama(folder: string): void {
  const library = dirname(fileURLToPath(import.meta.resolve("node-llama-cpp")));
  const builds = join(library, "..", "bins");
  const name = basename(folder).replace(/^gpu-|-[\d.]+$/g, "");
  const link = join(builds, name);
  mkdirSync(builds, { recursive: true });
  if (lstatSync(link, { throwIfNoEntry: false })) {
    if (realpathSync(link) === realpathSync(folder)) return;
    rmSync(link);
  }
  symlinkSync(folder, link, "junction");
}

/** The files of a folder, read from disk on every call. */
export function assetFolder(folder: string): AssetSource {
  return {
    names: () =>
      new Set(
        readdirSync(folder, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) => `/${relative(folder, join(entry.parentPath, entry.name))}`)
          .map((path) => path.split(sep).join("/")),
      ),
    read: (path) => new Uint8Array(readFileSync(join(folder, path))),
  };
}
