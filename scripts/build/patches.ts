import { join } from "node:path";
import type { BunPlugin } from "bun";
import type { NativeName } from "../../src/embedded/natives.ts";
import { ROOT } from "../paths.ts";
import { ENGINE_PACKAGES } from "../third-party.ts";

const HOOK = join(ROOT, "src", "embedded", "natives.ts");

/** A change to a file of a package, so that it finds its library when it runs in an executable. */
export interface Patch {
  /** The end of the file's path. */
  file: string;
  /** Text that must be in the file. If it is not, the package has changed and so must the patch. */
  expects: string;
  apply(text: string): string;
}

/** Code that loads an unpacked library. */
export function loadNativeCode(name: NativeName): string {
  return `require(${JSON.stringify(HOOK)}).loadNative("${name}")`;
}

/** Code that returns the folder of an unpacked library. */
export function unpackedFolderCode(name: NativeName): string {
  return `require(${JSON.stringify(HOOK)}).unpackedFolder("${name}")`;
}

const SQLITE_SEARCH =
  "let filename = path.join(__dirname, '..', 'build', 'Debug', 'better_sqlite3.node');";
const ONNXRUNTIME_REQUIRE =
  // biome-ignore lint/suspicious/noTemplateCurlyInString: this is the package's source text
  "require(`../bin/napi-v6/${process.platform}/${process.arch}/onnxruntime_binding.node`)";

const FFMPEG_SEARCH = "const configureFfmpeg = () => {";

/** The packages of the sound decoders, and their classes. */
const DECODERS: Readonly<Record<string, string>> = {
  "mpg123-decoder": "MPEGDecoder",
  "opus-decoder": "OpusDecoder",
  "@wasm-audio-decoders/flac": "FLACDecoder",
  "@wasm-audio-decoders/ogg-vorbis": "OggVorbisDecoder",
};

/** Their web workers are not used, so the bundler leaves them out, but not the lines about them. */
function withoutWorker([name, decoder]: [name: string, decoder: string]): Patch {
  const line = `assignNames(${decoder}WebWorker, "${decoder}WebWorker");`;
  return { file: `${name}/index.js`, expects: line, apply: (text) => text.replace(line, "") };
}

const PATCHES: readonly Patch[] = [
  ...Object.entries(DECODERS).map(withoutWorker),
  {
    file: "better-sqlite3/lib/binding.js",
    expects: SQLITE_SEARCH,
    apply: (text) =>
      text.replace(SQLITE_SEARCH, `return DEFAULT_ADDON = ${loadNativeCode("sqlite.node")};`),
  },
  {
    // It tries one package after another, and the bundler would include them all.
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
    // It searches for ffmpeg as soon as it is imported. Parley plays no files and does not need it.
    file: "@livekit/agents/dist/ffmpeg.js",
    expects: FFMPEG_SEARCH,
    apply: (text) => text.replace(FFMPEG_SEARCH, `${FFMPEG_SEARCH}\n  return;`),
  },
];

/**
 * Packages that agents-js imports for features that Parley does not use: video frames, audio files,
 * LiveKit's VAD and recordings sent to LiveKit. Together they would double the executable's size.
 */
const LEFT_OUT = ["sharp", "@livekit/av", "fluent-ffmpeg", "@livekit/local-inference", "form-data"];
const LEFT_OUT_FILTER = new RegExp(`^(?:${LEFT_OUT.join("|")})$`);

/**
 * The engine's packages, which are only in parley-offline: sherpa-onnx contains espeak-ng, which is
 * under the GPL (docs/decisions/0010-the-offline-engine.md).
 */
const ENGINE_FILTER = new RegExp(`^(?:${ENGINE_PACKAGES.join("|")})$`);

/** Stands in for a package that is left out: it can be imported, but using it throws. */
const stub = (name: string) => `
const fail = () => { throw new Error(${JSON.stringify(`${name} is not part of this executable`)}); };
// A prototype, since the bundler copies the own properties of a CommonJS module that is imported.
module.exports = Object.setPrototypeOf(fail, new Proxy({}, {
  get: (_, name) => (typeof name === "symbol" || name === "__esModule" || name === "then" ? undefined : fail()),
}));`;

/**
 * The plugin that applies the patches. Call `assertApplied` after the build.
 *
 * @param further patches for this executable only
 */
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
            throw new Error(`${file} has changed, so the build's patch no longer fits it`);
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
      const unused = all.filter(({ file }) => !applied.has(file)).map(({ file }) => file);
      if (unused.length > 0) {
        throw new Error(
          `these files are not in the bundle and were not patched: ${unused.join(", ")}`,
        );
      }
    },
  };
}

/** Leaves the engine's packages out of an executable. */
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
