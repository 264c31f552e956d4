import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { ROOT } from "../paths.ts";
import { say } from "../say.ts";

const PACKAGES = join(ROOT, ".cache", "packages");
/** How bun.lock describes a package: its name and version, …, and the hash of its archive. */
const lockFile = z.object({ packages: z.record(z.string(), z.array(z.unknown())) });

/**
 * The folder of a package with the native libraries of one platform. npm installs only those of this
 * machine; others are downloaded with `npm pack` and compared with the hash in bun.lock.
 *
 * @throws Error if it is neither installed nor can be downloaded, or is another than in bun.lock
 */
export async function platformPackage(name: string): Promise<string> {
  const installed = join(ROOT, "node_modules", name);
  if (existsSync(installed)) return installed;
  const { id, integrity } = locked(name);
  const folder = join(PACKAGES, id.replaceAll("/", "+"));
  if (!existsSync(folder)) await download(id, integrity, folder);
  return folder;
}

function locked(name: string): { id: string; integrity: string } {
  const text = readFileSync(join(ROOT, "bun.lock"), "utf8");
  const entry = lockFile.parse(Bun.JSONC.parse(text)).packages[name] ?? [];
  const [id, integrity] = [entry[0], entry.at(-1)];
  if (typeof id !== "string" || typeof integrity !== "string" || !integrity.startsWith("sha512-")) {
    throw new Error(`bun.lock has no ${name}`);
  }
  return { id, integrity };
}

async function download(id: string, integrity: string, folder: string): Promise<void> {
  say(`downloading ${id}`);
  mkdirSync(PACKAGES, { recursive: true });
  const work = mkdtempSync(join(PACKAGES, "tmp-"));
  try {
    const packed = Bun.spawn(["npm", "pack", "--silent", id], {
      cwd: work,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [tarball, errors] = await Promise.all([
      new Response(packed.stdout).text(),
      new Response(packed.stderr).text(),
    ]);
    if ((await packed.exited) !== 0) {
      throw new Error(`npm could not download ${id}: ${errors.trim()}`);
    }
    await extract(await Bun.file(join(work, tarball.trim())).bytes(), integrity, work);
    renameSync(join(work, "package"), folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Extracts an npm archive. @throws Error unless it has the hash */
export async function extract(
  archive: Uint8Array,
  integrity: string,
  folder: string,
): Promise<void> {
  const hash = new Bun.CryptoHasher("sha512").update(archive).digest("base64");
  if (integrity !== `sha512-${hash}`) throw new Error("the package is not the one in bun.lock");
  await new Bun.Archive(new Uint8Array(archive)).extract(folder);
}
