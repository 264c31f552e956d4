// `npm run release`: adds to the executables in dist/ (built by `npm run build`) the files that are
// published with them: THIRD-PARTY-LICENSES.txt, parley.cdx.json (the SBOM) and SHA256SUMS. With the key
// of releases in RELEASE_SIGNING_KEY it also writes releases.json, which `parley update` reads, and
// signs it and SHA256SUMS. The same sources, executables and key produce the same bytes.
import type { KeyObject } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { messageOf } from "../src/errors.ts";
import { fileHash } from "../src/lib/file-hash.ts";
import { VERSION } from "../src/version.ts";
import { targetNamed } from "./build/targets.ts";
import { executableLicenses } from "./licenses.ts";
import { ROOT } from "./paths.ts";
import { provideLiveKitServer } from "./prepare.ts";
import { say } from "./say.ts";
import { sbom } from "./sbom.ts";
import { listOf, RELEASE_LIST, signatureOf, signingKey } from "./sign-release.ts";
import { type Component, goComponents } from "./third-party.ts";

const DOWNLOADS_URL = "https://github.com/parley/parley/releases/download";
const SUMS = "SHA256SUMS";
/** The published files; the rest of dist/ belongs to the build. */
const PUBLISHED = /^(parley(-[a-z0-9-]+)?(\.exe)?|THIRD-PARTY-LICENSES\.txt|parley\.cdx\.json)$/;

/**
 * Writes the files that are published with the executables in a folder.
 *
 * @param further parts of livekit-server, if they are known
 * @param signing undefined: nothing is signed
 * @returns the names of the files that SHA256SUMS lists
 */
export async function release(
  folder: string,
  further: readonly Component[],
  signing?: { key: KeyObject; issued: Date },
): Promise<string[]> {
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
  if (signing) {
    const { key, issued } = signing;
    const { name: host } = targetNamed();
    const at = { version: VERSION, host, url: `${DOWNLOADS_URL}/v${VERSION}`, issued };
    const list = await listOf(folder, names, at);
    await write(folder, RELEASE_LIST, `${JSON.stringify(list, null, 2)}\n`);
    for (const name of [SUMS, RELEASE_LIST]) {
      await write(folder, `${name}.sig`, signatureOf(join(folder, name), key));
    }
  }
  return names;
}

async function write(folder: string, name: string, text: string | Uint8Array): Promise<void> {
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
  const pem = process.env["RELEASE_SIGNING_KEY"];
  const signing = pem ? { key: signingKey(pem), issued: await issueDate() } : undefined;
  const names = await release(folder, modules, signing);
  say(`dist/${SUMS} lists ${names.join(", ")}`);
  if (!signing) say("nothing is signed, since RELEASE_SIGNING_KEY is not set (docs/DEPLOY.md)");
}

/** SOURCE_DATE_EPOCH (https://reproducible-builds.org/specs/source-date-epoch/), or the commit's date. */
async function issueDate(): Promise<Date> {
  const epoch = process.env["SOURCE_DATE_EPOCH"];
  const seconds = epoch ?? (await Bun.$`git -C ${ROOT} log -1 --format=%ct`.text()).trim();
  return new Date(Number(seconds) * 1000);
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    say(`${messageOf(error)} (--without-go leaves out the parts of livekit-server)`);
    process.exit(1);
  }
}
