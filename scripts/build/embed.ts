import { mkdirSync, readdirSync, renameSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { readMigrations } from "../../src/db/migrations.ts";
import type { BundleName, Contents } from "../../src/embedded/contents.ts";
import { ROOT } from "../paths.ts";

const PUBLIC = join(ROOT, "public");
/** Compressed files, named by their content, since libraries change far less often than Parley. */
const CACHE = join(ROOT, ".cache", "packed");
/** The highest zstd level that needs no extra memory to decompress. */
const LEVEL = 19;

/** A file that must be unpacked before it is used. */
export interface Native {
  /** The name that it is unpacked to. */
  name: string;
  /** Where it is on the machine that builds. */
  path: string;
}

export type Natives = Readonly<Record<BundleName, readonly Native[]>>;

/** The space that one part takes in the executable. */
export interface Part {
  name: string;
  /** Size in bytes: unpacked, and inside the executable. */
  size: number;
  packed: number;
}

export interface Embedded {
  /** Source code of the module `parley:contents`. */
  module: string;
  parts: Part[];
}

/**
 * Compresses the files for the executable and generates the module `parley:contents` for them.
 *
 * @param licenses the text of `parley licenses`
 */
export async function embed(natives: Natives, licenses: string): Promise<Embedded> {
  const imports: string[] = [];
  const parts: Part[] = [];
  /** @returns the variable of the module that holds the file's path inside the executable */
  const importFile = (path: string): string => {
    const name = `file${imports.length}`;
    imports.push(`import ${name} from ${JSON.stringify(path)} with { type: "file" };`);
    return name;
  };
  const packBundle = async (name: BundleName) => {
    const files = await Promise.all(natives[name].map(pack));
    const hasher = new Bun.CryptoHasher("sha256");
    for (const file of files) {
      hasher.update(`${file.name}\0${file.sha256}\0`);
      parts.push({ name: file.name, size: file.size, packed: statSync(file.packed).size });
    }
    const hash = hasher.digest("hex");
    return files.length === 0 ? undefined : { name, hash, files };
  };
  const code = (bundle: Awaited<ReturnType<typeof packBundle>>) => {
    if (!bundle) return "undefined";
    const files = bundle.files.map(
      ({ packed, ...facts }) => `{ ...${JSON.stringify(facts)}, packed: ${importFile(packed)} }`,
    );
    return `{ ...${JSON.stringify({ name: bundle.name, hash: bundle.hash })}, files: [${files}] }`;
  };
  const packedAssets = await Promise.all(
    assetPaths().map(async (path) => {
      const asset = await packBytes(await Bun.file(join(PUBLIC, path)).bytes());
      parts.push({ name: `public${path}`, size: asset.size, packed: statSync(asset.packed).size });
      return [path, asset.packed] as const;
    }),
  );
  const assets = packedAssets.map(
    ([path, packed]) => `${JSON.stringify(path)}: ${importFile(packed)}`,
  );
  const text = await packBytes(new TextEncoder().encode(licenses));
  parts.push({ name: "licences", size: text.size, packed: statSync(text.packed).size });
  const fields: Record<keyof Contents, string> = {
    assets: `{ ${assets.join(", ")} }`,
    migrations: JSON.stringify(readMigrations(join(ROOT, "drizzle"))),
    database: code(await packBundle("database")),
    licenses: importFile(text.packed),
    speech: code(await packBundle("speech")),
    engine: code(await packBundle("engine")),
    livekit: code(await packBundle("livekit")),
  };
  const entries = Object.entries(fields).map(([name, value]) => `  ${name}: ${value},`);
  return {
    module: [...imports, "export default {", ...entries, "};", ""].join("\n"),
    parts,
  };
}

/** Files that browsers load. Names with a leading dot belong to the build itself. */
function assetPaths(): string[] {
  return readdirSync(PUBLIC, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith("."))
    .map((entry) => join(entry.parentPath, entry.name).slice(PUBLIC.length).replaceAll("\\", "/"))
    .sort();
}

/** Compresses a file, or reuses the result of an earlier build. */
async function pack({ name, path }: Native) {
  return { name: basename(name), ...(await packBytes(await Bun.file(path).bytes())) };
}

async function packBytes(bytes: Uint8Array) {
  const sha256 = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
  mkdirSync(CACHE, { recursive: true });
  const packed = join(CACHE, `${sha256}-${LEVEL}.zst`);
  if (!(await Bun.file(packed).exists())) {
    const temporary = `${packed}.${process.pid}.tmp`;
    await Bun.write(temporary, await Bun.zstdCompress(bytes, { level: LEVEL }));
    renameSync(temporary, packed);
  }
  return { size: bytes.length, sha256, packed };
}
