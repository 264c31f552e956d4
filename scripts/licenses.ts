// Collects the licences of all parts of Parley. The result is not in the repository: it follows from
// bun.lock, and a copy would be outdated after the next change.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./paths.ts";
import { type Component, componentsOf } from "./third-party.ts";

const HEAD = `Parley consists of the following parts. Each is under its own licence, given below.
Parley itself is under the Apache License 2.0.
`;
const OFFLINE_HEAD = `An executable with the engine for local models (parley-offline) is conveyed as a whole under the GNU
General Public License, version 3, which comes first below: one of its libraries contains eSpeak NG.
Parley's own source, and how to build it, is at https://github.com/parley/parley.
`;
const LGPL_HEAD = `The GNU Lesser General Public License, version 3, under which codec-parser is, adds permissions to the
GNU General Public License, version 3. Its text follows for that reason; Parley is not under it.
`;
const SEPARATOR = `\n${"=".repeat(80)}\n\n`;

/** The licences of a source tree, which includes the engine for local models. */
export function sourceLicenses(): string {
  return licensesOf(componentsOf({ engine: true }));
}

/**
 * The text of `THIRD-PARTY-LICENSES.txt`: the name, version, licence and licence texts of each part.
 *
 * @param further parts of livekit-server, if they are known
 * @param engine whether the executable contains the engine for local models
 */
export function executableLicenses(further: readonly Component[] = [], engine = false): string {
  const parts = licensesOf(componentsOf({ engine, further }));
  const gpl = readFileSync(join(import.meta.dir, "gpl-3.0.txt"), "utf8");
  const texts = engine ? [OFFLINE_HEAD, gpl, parts] : [parts, LGPL_HEAD, gpl];
  return texts.join(SEPARATOR);
}

function licensesOf(parts: readonly Component[]): string {
  return [HEAD, ...parts.map(entry)].join(SEPARATOR);
}

function entry(part: Component): string {
  const id = part.license ?? (part.texts.length > 0 ? "see below" : "not named by its authors");
  const title = `${part.name} ${part.version}\nLicence: ${id}\n`;
  const texts = part.texts.length > 0 ? part.texts : standardText(part);
  return `${[title, ...texts].join("\n")}\n`;
}

/** The usual text of a licence that a package names but does not include. */
function standardText({ license, author, name }: Component): string[] {
  const holder = author ?? `the authors of ${name}`;
  if (license === "Apache-2.0") {
    return [`Copyright ${holder}\n`, readFileSync(join(ROOT, "LICENSE"), "utf8").trim()];
  }
  if (license === "MIT") return [mit(holder)];
  return ["The package does not include the text of its licence."];
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
