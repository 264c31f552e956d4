// The software bill of materials: CycloneDX 1.6 JSON of everything that Parley is made of.
import { VERSION } from "../src/version.ts";
import {
  type Component,
  ENGINE_PACKAGES,
  engineParts,
  npmComponents,
  programs,
} from "./third-party.ts";

/**
 * The SBOM. It holds no time and no random serial number, so that the same sources make the same
 * bytes; both are optional in the format.
 *
 * @param engine whether the engine for local models is part of it
 */
export function sbom(further: readonly Component[] = [], engine = false): string {
  const own = engine ? [...engineParts(), ...npmComponents()] : npmComponents(ENGINE_PACKAGES);
  const components = [...programs(), ...own, ...further];
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

/** Those that occur; the format refuses an `id` that is none, and packages write what they like. */
const SPDX_IDS: ReadonlySet<string> = new Set([
  "0BSD",
  "Apache-2.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "BlueOak-1.0.0",
  "CC0-1.0",
  "ISC",
  "LGPL-2.1-or-later",
  "LGPL-3.0-or-later",
  "MIT",
  "MPL-2.0",
  "Python-2.0",
  "Unlicense",
]);

/** The format tells an identifier from an expression of several, and both from free text. */
function licenseOf(license: string): object {
  if (/ (OR|AND|WITH) /.test(license)) return { expression: license };
  return { license: SPDX_IDS.has(license) ? { id: license } : { name: license } };
}

if (import.meta.main) process.stdout.write(sbom());
