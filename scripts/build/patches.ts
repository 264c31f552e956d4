import { join } from "node:path";
import type { BunPlugin } from "bun";
import type { NativeName } from "../../src/embedded/natives.ts";
import { ROOT } from "../paths.ts";
import { ENGINE_PACKAGES } from "../third-party.ts";

const HOOK = join(ROOT, "src", "embedded", "natives.ts");

/** A change of a package's file, without which it would not find its library in the executable. */
export interface Patch {
  /** The end of the file's path. */
  file: string;
  /** Has to be in the file, or the package has changed and the patch with it must. */
  expects: string;
  apply(text: string): string;
}

/** Code that loads a library which was unpacked. */
export function loadNativeCode(name: NativeName): string {
  return `require(${JSON.stringify(HOOK)}).loadNative("${name}")`;
}

/** Code that answers the folder which a library was unpacked to. */
export function unpackedFolderCode(name: NativeName): string {
  return `require(${JSON.stringify(HOOK)}).unpackedFolder("${name}")`;
}

const SQLITE_SEARCH =
  "let filename = path.join(__dirname, '..', 'build', 'Debug', 'better_sqlite3.node');";
const ONNXRUNTIME_REQUIRE =
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the package's text
  "require(`../bin/napi-v6/${process.platform}/${process.arch}/onnxruntime_binding.node`)";

const FFMPEG_SEARCH = "const configureFfmpeg = () => {";

const PATCHES: readonly Patch[] = [
  {
    file: "better-sqlite3/lib/binding.js",
    expects: SQLITE_SEARCH,
    apply: (text) =>
      text.replace(SQLITE_SEARCH, `return DEFAULT_ADDON = ${loadNativeCode("sqlite.node")};`),
  },
  {
    // It tries one package after the other; the bundler would take them all for needed.
    file: "@livekit/rtc-ffi-bindings/native.js",
    expects: "\nmodule.exports = nativeBinding\n",
    apply: () => `module.exports = ${loadNativeCode("rtc-node.node")};`,
  },
  {
    file: "onnxruntime-node/dist/binding.js",
    expects: ONNXRUNTIME_REQUIRE,
    apply: (text) => text.replace(ONNXRUNTIME_REQUIRE, loadNativeCode("onnxruntime_binding.node")),
  },
  {
    // Looks for ffmpeg when it is imported, whether or not anybody plays a file.
    file: "@livekit/agents/dist/ffmpeg.js",
    expects: FFMPEG_SEARCH,
    apply: (text) => text.replace(FFMPEG_SEARCH, `${FFMPEG_SEARCH}\n  return;`),
  },
];

/**
 * Packages that agents-js imports for what Parley does not do: video frames, audio files, LiveKit's
 * own VAD, recordings that go to LiveKit. Together they would double the executable.
 */
const LEFT_OUT = ["sharp", "@livekit/av", "fluent-ffmpeg", "@livekit/local-inference", "form-data"];
const LEFT_OUT_FILTER = new RegExp(`^(?:${LEFT_OUT.join("|")})$`);

/**
 * The engine's libraries, which only the offline executable carries: sherpa-onnx contains espeak-ng,
 * under the GPL (docs/decisions/0010-the-offline-engine.md).
 */
const ENGINE_FILTER = new RegExp(`^(?:${ENGINE_PACKAGES.join("|")})$`);

/** A left-out package can be imported; using it fails and says why. */
const stub = (name: string) => `
const fail = () => { throw new Error(${JSON.stringify(`${name} is not part of this executable`)}); };
// As prototype, since the bundler's import of a CommonJS module copies what is the module's own.
module.exports = Object.setPrototypeOf(fail, new Proxy({}, {
  get: (_, name) => (typeof name === "symbol" || name === "__esModule" || name === "then" ? undefined : fail()),
}));`;

/** Applies the patches; `assertApplied` is to be called after the build. */
export function patches(further: readonly Patch[]): { plugin: BunPlugin; assertApplied(): void } {
  const all = [...PATCHES, ...further];
  const applied = new Set<string>();
  const plugin: BunPlugin = {
    name: "native libraries from inside the executable",
    setup(build) {
      for (const { file, expects, apply } of all) {
        const filter = new RegExp(`/node_modules/${RegExp.escape(file)}$`);
        build.onLoad({ filter }, async ({ path }) => {
          const text = await Bun.file(path).text();
          if (!text.includes(expects)) {
            throw new Error(`${file} has changed: the build's patch of it does not fit any more`);
          }
          applied.add(file);
          return { contents: apply(text), loader: "js" };
        });
      }
      build.onResolve({ filter: LEFT_OUT_FILTER }, ({ path }) => ({ path, namespace: "left-out" }));
      build.onLoad({ filter: /./, namespace: "left-out" }, ({ path }) => ({
        contents: stub(path),
        loader: "js",
      }));
    },
  };
  return {
    plugin,
    assertApplied: () => {
      const unmet = all.filter(({ file }) => !applied.has(file)).map(({ file }) => file);
      if (unmet.length > 0) {
        throw new Error(`the bundle does not have ${unmet.join(", ")}, so nothing was patched`);
      }
    },
  };
}

/** Leaves the engine out of an executable. */
export const withoutEngine: BunPlugin = {
  name: "no engine",
  setup(build) {
    build.onResolve({ filter: ENGINE_FILTER }, ({ path }) => ({ path, namespace: "engine-only" }));
    build.onLoad({ filter: /./, namespace: "engine-only" }, ({ path }) => ({
      contents: `throw new Error(${JSON.stringify(`${path} is not part of this executable`)});`,
      loader: "js",
    }));
  },
};
