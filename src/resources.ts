import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative, sep } from "node:path";
import type { MigrationMeta } from "drizzle-orm/migrator";
import { readMigrations } from "./db/migrations.ts";

/** Files that browsers load, by paths such as `/parley.css`. */
export interface AssetSource {
  names(): ReadonlySet<string>;
  /** @param path one of `names()` */
  read(path: string): Uint8Array<ArrayBuffer>;
}

/**
 * What Parley needs beside its own code. Run from the source tree that lies in folders
 * (`sourceResources`); the executable carries it inside (`embedded/resources.ts`).
 */
export interface Resources {
  readonly assets: AssetSource;
  /** Oldest first. */
  migrations(): readonly MigrationMeta[];
  /** To be awaited before a database is opened: makes SQLite's library loadable. */
  database(): Promise<void>;
  /** To be awaited before the agent stack is imported: makes its libraries loadable. */
  speech(): Promise<SpeechFiles>;
  /** To be awaited before models run in this process; undefined where there is no engine for them. */
  readonly engine: (() => Promise<void>) | undefined;
  /** The path of the livekit-server that Parley brings; undefined if it brings none. */
  readonly livekitServer: (() => Promise<string>) | undefined;
}

export interface SpeechFiles {
  /** Path of silero's model, which tells speech from silence. */
  vadModel: string;
}

/** The resources as they lie in the source tree and in `node_modules/`. */
export function sourceResources(): Resources {
  const root = join(import.meta.dir, "..");
  return {
    assets: assetFolder(join(root, "public")),
    migrations: () => readMigrations(join(root, "drizzle")),
    // The packages find their libraries by themselves.
    database: async () => {},
    speech: async () => {
      const plugin = createRequire(import.meta.url).resolve("@livekit/agents-plugin-silero");
      return { vadModel: join(dirname(plugin), "silero_vad.onnx") };
    },
    engine: async () => {},
    livekitServer: undefined,
  };
}

/** The files of a folder, as they are whenever they are asked for. */
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
