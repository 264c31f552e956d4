import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { BunPlugin } from "bun";
import { ROOT } from "../paths.ts";
import type { Native } from "./embed.ts";
import { loadNativeCode, type Patch, unpackedFolderCode } from "./patches.ts";
import type { Target } from "./targets.ts";
import { packageFolder } from "./targets.ts";

const LIBRARY = /\.(?:node|dylib|dll)$|\.so(?:\.|$)/;
/** llama.cpp's own words on how it was built; node-llama-cpp reads them first. */
const METADATA = "_nlcBuildMetadata.json";

/** The libraries of the engine for models of this machine. @throws Error for what is missing */
export function engineNatives(target: Target): Native[] {
  const speech = join(ROOT, "node_modules", target.sherpa);
  const llama = join(ROOT, "node_modules", "@node-llama-cpp", target.llama, "bins", target.llama);
  const found = [speech, llama].flatMap((folder) => {
    if (!existsSync(folder)) {
      throw new Error(
        `${folder} is missing: the engine can be built in on its own kind of machine`,
      );
    }
    return readdirSync(folder)
      .filter((name) => LIBRARY.test(name) || name === METADATA)
      .map((name) => ({ name, path: join(folder, name) }));
  });
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

const LOCATE = "export async function getPrebuiltBinaryPath(buildOptions, folderName) {";
const LOAD = "const binding = require(bindingModulePath);";
/** Its `require` is one of its own, which finds nothing in an executable. */
const DLOPEN = `const loaded = { exports: {} };
        process.dlopen(loaded, bindingModulePath);
        const binding = loaded.exports;`;
const VERSION = 'await fs.readJson(path.join(__dirname, "..", "..", "package.json"))';
const RELEASE = "await fs.readJson(binariesGithubReleasePath)";
const TEST = /export async function testBindingBinary\([^)]*\) \{/;

/** What lets the engine's packages run from inside the executable, with their libraries beside it. */
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
      // It tries one path after the other; the bundler would take them all for needed.
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
      // It forks a file of its own that is not there; the engine is a process of its own already.
      file: "node-llama-cpp/dist/bindings/utils/testBindingBinary.js",
      expects: "export async function testBindingBinary(",
      apply: (text) => text.replace(TEST, (head) => `${head}\n    return true;`),
    },
  ];
}

/** The packages of node-llama-cpp that hold libraries; nobody imports them once they are unpacked. */
export const withoutLibraryPackages: BunPlugin = {
  name: "no packages of libraries",
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
