// Gathers the licences of everything that Parley is made of. They are not in the repository: they
// follow from bun.lock, and a copy would be wrong after its next change.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./paths.ts";
import {
  type Component,
  ENGINE_PACKAGES,
  engineParts,
  npmComponents,
  programs,
} from "./third-party.ts";

const HEAD = `Parley is made of the following parts. Each is under its own licence, given below.
Parley itself is under the Apache License 2.0.
`;
const OFFLINE_HEAD = `An executable with the engine for models of this machine (parley-offline) is conveyed as a whole under
the GNU General Public License, version 3, which stands first below: one of its libraries contains
eSpeak NG. Parley's own source, and how to build it, is at https://github.com/parley/parley.
`;
const RULE = "=".repeat(80);

/** The licences of what a source tree runs with, the engine for local models included. */
export function sourceLicenses(): string {
  return licensesOf([...programs(), ...engineParts(), ...npmComponents()]);
}

/**
 * The text of `THIRD-PARTY-LICENSES.txt`: for each part its name, version, licence and texts.
 *
 * @param engine whether the executable carries the engine for local models
 */
export function executableLicenses(further: readonly Component[] = [], engine = false): string {
  if (!engine) {
    return licensesOf([...programs(), ...npmComponents(ENGINE_PACKAGES), ...further]);
  }
  const gpl = readFileSync(join(import.meta.dir, "gpl-3.0.txt"), "utf8");
  const parts = licensesOf([...programs(), ...engineParts(), ...npmComponents(), ...further]);
  return [OFFLINE_HEAD, gpl, parts].join(`\n${RULE}\n\n`);
}

function licensesOf(parts: readonly Component[]): string {
  return `${[HEAD, ...parts.map(entry)].join(`\n${RULE}\n\n`)}`;
}

function entry(part: Component): string {
  const id = part.license ?? (part.texts.length > 0 ? "see below" : "not named by its makers");
  const title = `${part.name} ${part.version}\nLicence: ${id}\n`;
  const texts = part.texts.length > 0 ? part.texts : standardText(part);
  return `${[title, ...texts].join("\n")}\n`;
}

/** Some packages name a licence and leave its text out. */
function standardText({ license, author, name }: Component): string[] {
  const holder = author ?? `the authors of ${name}`;
  if (license === "Apache-2.0") {
    return [`Copyright ${holder}\n`, readFileSync(join(ROOT, "LICENSE"), "utf8").trim()];
  }
  if (license === "MIT") return [mit(holder)];
  return ["The package comes without a text of its licence."];
}

function mit(holder: string): string {
  return `MIT License

Copyright (c) ${holder}

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or
substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT
OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`;
}

if (import.meta.main) process.stdout.write(sourceLicenses());
