// `npm run release`: adds to the executables in dist/ (built by `npm run build`) the files that are
// published with them: THIRD-PARTY-LICENSES.txt, parley.cdx.json (the SBOM) and SHA256SUMS. The same
// sources and executables produce the same bytes.
import { existsSync, mkdirSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { messageOf } from "../src/errors.ts";
import { fileHash } from "../src/lib/file-hash.ts";
import { executableLicenses } from "./licenses.ts";
import { ROOT } from "./paths.ts";
import { provideLiveKitServer } from "./prepare.ts";
import { say } from "./say.ts";
import { sbom } from "./sbom.ts";
import { type Component, goComponents } from "./third-party.ts";

const SUMS = "SHA256SUMS";
/** The published files; the rest of dist/ belongs to the build. */
const PUBLISHED = /^(parley(-[a-z0-9-]+)?(\.exe)?|THIRD-PARTY-LICENSES\.txt|parley\.cdx\.json)$/;

/**
 * Writes the files that are published with the executables in a folder.
 *
 * @param further parts of livekit-server, if they are known
 * @returns the names of the files that SHA256SUMS lists
 */
export async function release(folder: string, further: readonly Component[]): Promise<string[]> {
  mkdirSync(folder, { recursive: true });
  const engine = readdirSync(folder).some((name) => name.startsWith("parley-offline"));
  await write(folder, "THIRD-PARTY-LICENSES.txt", executableLicenses(further, engine));
  await write(folder, "parley.cdx.json", sbom(further, engine));
  const names = readdirSync(folder)
    .filter((name) => PUBLISHED.test(name))
    .sort();
  const lines: string[] = [];
  for (const name of names) lines.push(`${await fileHash(join(folder, name))}  ${name}\n`);
  await write(folder, SUMS, lines.join(""));
  return names;
}

async function write(folder: string, name: string, text: string): Promise<void> {
  const temporary = join(folder, `.${name}.${process.pid}`);
  await Bun.write(temporary, text);
  renameSync(temporary, join(folder, name));
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { "without-go": { type: "boolean", default: false } } });
  const folder = join(ROOT, "dist");
  if (!existsSync(folder))
    say("there is no dist/: run `npm run build` first to build the executables");
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
