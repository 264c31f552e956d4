import type { MigrationMeta } from "drizzle-orm/migrator";

/** A file inside the executable, compressed with zstd, that is of use on a disk only. */
export interface PackedFile {
  name: string;
  /** Bytes and SHA-256 of the file itself. */
  size: number;
  sha256: string;
  /** Where the compressed form is read: a path inside the executable. */
  packed: string;
}

/** Files that are unpacked together, since they are needed together or look for each other. */
export interface PackedBundle {
  name: BundleName;
  /** Of the names and contents of all its files. */
  hash: string;
  files: readonly PackedFile[];
}

export const BUNDLE_NAMES = ["database", "speech", "engine", "livekit"] as const;
export type BundleName = (typeof BUNDLE_NAMES)[number];

/** All that the build puts beside the code; the module `parley:contents` is made by it. */
export interface Contents {
  /** Paths of the browser's files, as `/parley.css`, to where each is inside, compressed with zstd. */
  assets: Readonly<Record<string, string>>;
  migrations: readonly MigrationMeta[];
  database: PackedBundle;
  speech: PackedBundle;
  /** Where the text of `parley licenses` is read, compressed with zstd. */
  licenses: string;
  /** What runs models on this machine; in the offline executable alone. */
  engine: PackedBundle | undefined;
  /** Undefined in the slim executable. */
  livekit: PackedBundle | undefined;
}
