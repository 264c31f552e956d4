import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { ROOT } from "./paths.ts";
import { release } from "./release.ts";
import { ENGINE_PACKAGES, npmComponents } from "./third-party.ts";

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "parley-release-"));
  writeFileSync(join(folder, "parley"), "an executable");
  writeFileSync(join(folder, "parley.parts.json"), "{}");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const read = (name: string) => Bun.file(join(folder, name)).text();

test("a release has licences, SBOM and sums, and two runs make the same bytes", async () => {
  const names = await release(folder, []);
  expect(names).toEqual(["THIRD-PARTY-LICENSES.txt", "parley", "parley.cdx.json"]);
  const first = await Promise.all([...names, "SHA256SUMS"].map(read));
  await release(folder, []);
  expect(await Promise.all([...names, "SHA256SUMS"].map(read))).toEqual(first);
  expect(readdirSync(folder).filter((name) => name.startsWith("."))).toEqual([]);
  const sums = Bun.spawnSync(["sha256sum", "--check", "SHA256SUMS"], { cwd: folder });
  expect(sums.exitCode).toBe(0);
});

test("every production package is in, nested ones too, and no tool of development", async () => {
  const names = npmComponents(ENGINE_PACKAGES).map(({ name }) => name);
  expect(names).toContain("pino-std-serializers");
  for (const tool of ["knip", "@biomejs/biome", "bun-types", "playwright-core"]) {
    expect(names).not.toContain(tool);
  }
  const manifest = z
    .object({ dependencies: z.record(z.string(), z.string()) })
    .parse(await Bun.file(join(ROOT, "package.json")).json());
  const needed = Object.keys(manifest.dependencies);
  expect(npmComponents().map(({ name }) => name)).toEqual(expect.arrayContaining(needed));
  const inside = needed.filter((name) => !ENGINE_PACKAGES.includes(name));
  expect(names).toEqual(expect.arrayContaining(inside));
  // Only parley-offline contains the engine's libraries, one of which is under the GPL.
  expect(names.filter((name) => /sherpa|llama/.test(name))).toEqual([]);
  const licences = await read("THIRD-PARTY-LICENSES.txt");
  for (const { name, version } of npmComponents(ENGINE_PACKAGES))
    expect(licences).toContain(`${name} ${version}`);
  expect(licences).toContain("livekit-server 1.13.5");
  expect(licences).not.toContain("sherpa-onnx");
});

test("the SBOM names each part once", async () => {
  const document = z
    .object({
      bomFormat: z.literal("CycloneDX"),
      components: z.array(z.object({ purl: z.string() })),
    })
    .parse(JSON.parse(await read("parley.cdx.json")));
  const purls = document.components.map(({ purl }) => purl);
  expect(new Set(purls).size).toBe(purls.length);
});
