// `npm run release`: beside the executables in dist/ (made by `npm run build`) puts what goes out
// with them: THIRD-PARTY-LICENSES.txt, parley.cdx.json (the SBOM) and SHA256SUMS of all. The same
// sources and executables make the same bytes.
import { existsSync, mkdirSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { messageOf } from "../src/errors.ts";
import { fileHash } from "../src/lib/file-hash.ts";
import { executableLicenses } from "./licenses.ts";
import { provideLiveKitServer } from "./livekit.ts";
import { ROOT } from "./paths.ts";
import { say } from "./say.ts";
import { sbom } from "./sbom.ts";
import { type Component, goComponents } from "./third-party.ts";

const SUMS = "SHA256SUMS";
/** What people download; the rest of dist/ is the build's own. */
const RELEASED = /^(parley(-[a-z0-9-]+)?(\.exe)?|THIRD-PARTY-LICENSES\.txt|parley\.cdx\.json)$/;

/**
 * Writes the files that go with a release.
 *
 * @param further parts of livekit-server, where they are known
 * @returns the names of the files that SHA256SUMS lists
 */
export async function release(folder: string, further: readonly Component[]): Promise<string[]> {
  mkdirSync(folder, { recursive: true });
  const engine = readdirSync(folder).some((name) => name.startsWith("parley-offline"));
  await write(folder, "THIRD-PARTY-LICENSES.txt", executableLicenses(further, engine));
  await write(folder, "parley.cdx.json", sbom(further, engine));
  const names = readdirSync(folder)
    .filter((name) => RELEASED.test(name))
    .sort();
  const lines: string[] = [];
  for (const name of names) lines.push(`${await fileHash(join(folder, name))}  ${name}\n`);
  await write(folder, SUMS, lines.join(""));
  return names;
}

async function write(folder: string, name: string, text: string): Promise<void> {
  const aside = join(folder, `.${name}.${process.pid}`);
  await Bun.write(aside, text);
  renameSync(aside, join(folder, name));
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { "without-go": { type: "boolean", default: false } } });
  const folder = join(ROOT, "dist");
  if (!existsSync(folder)) say("there is no dist/: `npm run build` makes the executables first");
  const modules = values["without-go"] ? [] : await goComponents(await provideLiveKitServer());
  const names = await release(folder, modules);
  say(`dist/${SUMS} lists ${names.join(", ")}`);
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    say(`${messageOf(error)} (--without-go leaves out the parts of livekit-server)`);
    process.exit(1);
  }
}
