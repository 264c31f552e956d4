import { afterAll, beforeAll, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { readReleaseList } from "../src/update/release-list.ts";
import { targetNamed } from "./build/targets.ts";
import { ROOT } from "./paths.ts";
import { release } from "./release.ts";
import { signingKey } from "./sign-release.ts";
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
  // This folder has no parley-offline, which alone contains the engine's libraries.
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

const { publicKey, privateKey } = generateKeyPairSync("ed25519");
const KEY = publicKey.export({ type: "spki", format: "pem" }).toString();

test("a release with parley-offline has its licences, and a signed list of all executables", async () => {
  const offline = mkdtempSync(join(tmpdir(), "parley-release-offline-"));
  try {
    const names = [
      "parley",
      "parley-offline",
      "parley-offline-linux-arm64",
      "parley-windows-x64.exe",
    ];
    for (const name of names) writeFileSync(join(offline, name), `the executable ${name}`);
    const issued = new Date("2026-01-31T12:00:00Z");
    await release(offline, [], { key: privateKey, issued });
    const text = (name: string) => Bun.file(join(offline, name)).text();
    const licences = await text("THIRD-PARTY-LICENSES.txt");
    expect(licences).toContain("conveyed as a whole under the GNU");
    expect(licences).toContain("sherpa-onnx-node ");
    for (const part of ["ggml", "llama.cpp", "openfst", "kaldi-native-fbank", "piper-phonemize"]) {
      expect(licences).toContain(`\n${part} as in `);
    }
    expect(licences).toContain("Copyright (c) 2023-2026 The ggml authors");
    // npm installs it here too, and no executable for this machine contains it.
    const foreign = process.arch === "x64" ? "linux-arm64" : "linux-x64";
    expect(licences).not.toContain(`@node-llama-cpp/${foreign} `);
    expect(await text("parley.cdx.json")).toContain("sherpa-onnx-node");

    // What `parley update` reads.
    const bytes = await Bun.file(join(offline, "releases.json")).bytes();
    const signature = await Bun.file(join(offline, "releases.json.sig")).bytes();
    const list = readReleaseList(bytes, signature, KEY, issued.getTime());
    const host = targetNamed().name;
    expect(list.files.map(({ platform, variant, name }) => [platform, variant, name])).toEqual([
      [host, "full", "parley"],
      [host, "offline", "parley-offline"],
      ["linux-arm64", "offline", "parley-offline-linux-arm64"],
      ["windows-x64", "full", "parley-windows-x64.exe"],
    ]);
    const sums = await text("SHA256SUMS");
    for (const { name, sha256, size, url } of list.files) {
      expect(sums).toContain(`${sha256}  ${name}\n`);
      expect(size).toBe(Bun.file(join(offline, name)).size);
      expect(url).toEndWith(`/v${list.version}/${name}`);
    }

    // What docs/DEPLOY.md tells people to do by hand.
    writeFileSync(join(offline, "parley-release.pem"), KEY);
    const check = [
      ["pkeyutl", "-verify", "-pubin", "-inkey", "parley-release.pem", "-rawin"],
      ["-in", "SHA256SUMS", "-sigfile", "SHA256SUMS.sig"],
    ].flat();
    const verify = () => Bun.spawnSync(["openssl", ...check], { cwd: offline }).exitCode;
    expect(verify()).toBe(0);
    writeFileSync(join(offline, "SHA256SUMS"), sums.replace("parley-offline", "parley-evil"));
    expect(verify()).not.toBe(0);
  } finally {
    rmSync(offline, { recursive: true, force: true });
  }
});

test("only the other half of the key in the source signs", () => {
  const pem = (key: typeof privateKey) => key.export({ type: "pkcs8", format: "pem" }).toString();
  expect(signingKey(pem(privateKey), KEY).asymmetricKeyType).toBe("ed25519");
  const stranger = generateKeyPairSync("ed25519").privateKey;
  expect(() => signingKey(pem(stranger), KEY)).toThrow("other half");
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  expect(() => signingKey(pem(rsa), KEY)).toThrow("not Ed25519");
});
