import type { MigrationMeta } from "drizzle-orm/migrator";

/** A file that must be unpacked before it is used. The executable contains it compressed (zstd). */
export interface PackedFile {
  name: string;
  /** Size in bytes and SHA-256 of the unpacked file. */
  size: number;
  sha256: string;
  /** Path of the compressed file inside the executable. */
  packed: string;
}

/** Files that are unpacked to one folder: they are needed together or load each other. */
export interface PackedBundle {
  name: BundleName;
  /** SHA-256 of the names and contents of all files. */
  hash: string;
  files: readonly PackedFile[];
}

export const BUNDLE_NAMES = ["database", "speech", "engine", "livekit"] as const;
export type BundleName = (typeof BUNDLE_NAMES)[number];

/** Everything in the executable besides the code. The build generates it as `parley:contents`. */
export interface Contents {
  /** Files for browsers: from a path such as `/parley.css` to the compressed file inside. */
  assets: Readonly<Record<string, string>>;
  migrations: readonly MigrationMeta[];
  database: PackedBundle;
  speech: PackedBundle;
  /** Path of the compressed text of `parley licenses` inside the executable. */
  licenses: string;
  /** The libraries that run local models; undefined except in `parley-offline`. */
  engine: PackedBundle | undefined;
  /** livekit-server; undefined in `parley-slim`. */
  livekit: PackedBundle | undefined;
}

/** Which of the executables of `scripts/build.ts` has these contents. */
export function variantOf({ engine, livekit }: Contents): "slim" | "full" | "offline" {
  if (engine) return "offline";
  return livekit ? "full" : "slim";
}
