import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { BunPlugin } from "bun";
import type { Native } from "./embed.ts";
import { loadNativeCode, type Patch, unpackedFolderCode } from "./patches.ts";
import { platformPackage } from "./platform-packages.ts";
import type { Target } from "./targets.ts";
import { packageFolder } from "./targets.ts";

const LIBRARY = /\.(?:node|dylib|dll)$|\.so(?:\.|$)/;
/** Describes how llama.cpp was built; node-llama-cpp reads it before it loads the library. */
const METADATA = "_nlcBuildMetadata.json";

/** The libraries of the engine for local models. @throws Error if they cannot be had */
export async function engineNatives(target: Target): Promise<Native[]> {
  const speech = await platformPackage(target.sherpa);
  const llama = await platformPackage(`@node-llama-cpp/${target.llama}`);
  const found = [speech, join(llama, "bins", target.llama)].flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => LIBRARY.test(name) || name === METADATA)
      .map((name) => ({ name, path: join(folder, name) })),
  );
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

const LOCATE = "export async function getPrebuiltBinaryPath(buildOptions, folderName) {";
const LOAD = "const binding = require(bindingModulePath);";
/** node-llama-cpp creates its own `require`, which finds nothing in an executable. */
const DLOPEN = `const loaded = { exports: {} };
        process.dlopen(loaded, bindingModulePath);
        const binding = loaded.exports;`;
const VERSION = 'await fs.readJson(path.join(__dirname, "..", "..", "package.json"))';
const RELEASE = "await fs.readJson(binariesGithubReleasePath)";
const TEST = /export async function testBindingBinary\([^)]*\) \{/;

/** Patches that let the engine's packages run inside the executable, with unpacked libraries. */
export function enginePatches(): Patch[] {
  const json = (path: string) =>
    `(${readFileSync(join(packageFolder("node-llama-cpp"), path), "utf8")})`;
  const llama = (file: string, expects: string, instead: string): Patch => ({
    file: `node-llama-cpp/dist/${file}`,
    expects,
    apply: (text) => text.replace(expects, () => instead),
  });
  const folder = unpackedFolderCode("llama-addon.node");
  return [
    {
      // It tries one path after another, and the bundler would include them all.
      file: "sherpa-onnx-node/addon.js",
      expects: "module.exports = addon;",
      apply: () => `module.exports = ${loadNativeCode("sherpa-onnx.node")};`,
    },
    llama(
      "bindings/utils/compileLLamaCpp.js",
      LOCATE,
      `${LOCATE}
      const folderPath = ${folder};
      return { folderName, folderPath, binaryPath: path.join(folderPath, "llama-addon.node"), extBackendsPath: undefined };`,
    ),
    llama("bindings/getLlama.js", LOAD, DLOPEN),
    llama("utils/getModuleVersion.js", VERSION, json("package.json")),
    llama(
      "bindings/utils/binariesGithubRelease.js",
      RELEASE,
      json("llama/binariesGithubRelease.json"),
    ),
    {
      // It forks a file of the package, which an executable does not have. The test is not needed: the
      // engine already runs in a separate process.
      file: "node-llama-cpp/dist/bindings/utils/testBindingBinary.js",
      expects: "export async function testBindingBinary(",
      apply: (text) => text.replace(TEST, (head) => `${head}\n    return true;`),
    },
  ];
}

/** Replaces node-llama-cpp's library packages, which are not imported once they are unpacked. */
export const withoutLibraryPackages: BunPlugin = {
  name: "no library packages",
  setup(build) {
    build.onResolve({ filter: /^@node-llama-cpp\// }, ({ path }) => ({
      path,
      namespace: "library-package",
    }));
    build.onLoad({ filter: /./, namespace: "library-package" }, () => ({
      contents: "export {};",
      loader: "js",
    }));
  },
};
