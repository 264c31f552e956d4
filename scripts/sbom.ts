// The software bill of materials: all parts of Parley, as CycloneDX 1.6 JSON
// (https://cyclonedx.org/docs/1.6/json/).
import { VERSION } from "../src/version.ts";
import { type Component, componentsOf } from "./third-party.ts";

/**
 * The SBOM. It has no time stamp and no random serial number, which are optional, so that the same
 * sources produce the same bytes.
 *
 * @param further parts of livekit-server, if they are known
 * @param engine whether the engine for local models is included
 */
export function sbom(further: readonly Component[] = [], engine = false): string {
  const components = componentsOf({ engine, further });
  const root = `pkg:npm/parley@${VERSION}`;
  const document = {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      component: {
        type: "application",
        "bom-ref": root,
        name: "parley",
        version: VERSION,
        licenses: [{ license: { id: "Apache-2.0" } }],
        purl: root,
      },
    },
    components: components.map((part) => ({
      type: part.name === "bun" || part.name === "livekit-server" ? "application" : "library",
      "bom-ref": part.purl,
      name: part.name,
      version: part.version,
      ...(part.license === undefined ? {} : { licenses: [licenseOf(part.license)] }),
      purl: part.purl,
    })),
    dependencies: [{ ref: root, dependsOn: components.map(({ purl }) => purl) }],
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** The SPDX identifiers that occur. The format rejects other ids, and packages write free text. */
const SPDX_IDS: ReadonlySet<string> = new Set([
  "0BSD",
  "Apache-2.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "BlueOak-1.0.0",
  "CC0-1.0",
  "ISC",
  "LGPL-2.0-or-later",
  "LGPL-2.1-only",
  "LGPL-2.1-or-later",
  "LGPL-3.0-or-later",
  "MIT",
  "MPL-2.0",
  "Python-2.0",
  "Unlicense",
]);

/** The format has a field each for an identifier, an expression and free text. */
function licenseOf(license: string): object {
  if (/ (OR|AND|WITH) /.test(license)) return { expression: license };
  return { license: SPDX_IDS.has(license) ? { id: license } : { name: license } };
}

if (import.meta.main) process.stdout.write(sbom());
