import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { Glob } from "bun";
import { ROOT } from "./paths.ts";

/** The scripts of the pages on which people talk and on which they choose models. */
const CHAT = join(ROOT, "src", "client", "chat.ts");
const MODELS = join(ROOT, "src", "client", "models.ts");
const HTMX = "htmx.min.js";
const OUTPUT = join(ROOT, "public", "build");
const STAMP = ".inputs";
/** Ending of files that are not whole yet. */
const TEMPORARY = ".tmp";
/** A change in any of these files makes the build stale. */
const INPUTS = [
  "src/client/**/*.ts",
  "src/domain/**/*.ts",
  "src/lib/loopback.ts",
  "src/lib/wav.ts",
  "src/lib/words.ts",
  "bun.lock",
  "scripts/build-client.ts",
];

export interface BuildOptions {
  /** Readable code with source maps. */
  dev?: boolean;
  /** Names of htmx extensions, such as `hx-head`. */
  htmxExtensions?: readonly string[];
  /** The output folder; `public/build` if unset. */
  output?: string;
}

/**
 * Builds the browser's scripts, unless no input has changed since the last build.
 *
 * `chat.js`, `models.js` and `htmx.min.js` (with the extensions appended) have stable names. livekit-client is
 * most of the code and seldom changes, so it is a separate file whose name contains its hash, which
 * lets browsers cache it.
 *
 * @returns whether a build was necessary
 */
export async function buildClient(options: BuildOptions = {}): Promise<boolean> {
  const output = options.output ?? OUTPUT;
  const key = await inputsKey(options);
  if ((await readText(join(output, STAMP))) === key) return false;
  const files = new Map<string, Uint8Array>();
  const library = await bundle("livekit-client", options);
  const libraryName = `livekit-client.${hash(library.code).slice(0, 12)}.js`;
  addBundle(files, libraryName, library);
  addBundle(files, "models.js", await bundle(MODELS, options));
  addBundle(files, "chat.js", await bundle(CHAT, options, libraryName));
  files.set(HTMX, new TextEncoder().encode(await htmxWithExtensions(options)));
  await replaceFiles(output, files);
  await writeAtomically(join(output, STAMP), new TextEncoder().encode(key));
  return true;
}

/** One file, since htmx processes the page soon after it runs, and an extension must be there by then. */
async function htmxWithExtensions({ htmxExtensions = [] }: BuildOptions): Promise<string> {
  const paths = [HTMX, ...htmxExtensions.map((name) => `ext/${name}.min.js`)];
  const dist = join(ROOT, "node_modules", "htmx.org", "dist");
  const texts = await Promise.all(paths.map((path) => Bun.file(join(dist, path)).text()));
  return texts.map((text) => text.replace(/\n?\/\/# sourceMappingURL=.*/, "")).join(";\n");
}

async function inputsKey(options: BuildOptions): Promise<string> {
  const paths = INPUTS.flatMap((pattern) => [...new Glob(pattern).scanSync({ cwd: ROOT })]);
  const hasher = new Bun.CryptoHasher("sha256").update(JSON.stringify(options));
  for (const path of paths.filter((path) => !path.endsWith(".test.ts")).sort()) {
    hasher.update(`\0${path}\0`).update(await Bun.file(join(ROOT, path)).bytes());
  }
  return hasher.digest("hex");
}

interface Bundle {
  code: string;
  /** The source map; only in development builds. */
  map: string | undefined;
}

/** @param libraryName the file that provides livekit-client; if unset, it is bundled */
async function bundle(
  entry: string,
  { dev = false }: BuildOptions,
  libraryName?: string,
): Promise<Bundle> {
  const result = await Bun.build({
    entrypoints: [entry],
    root: ROOT,
    target: "browser",
    format: "esm",
    minify: !dev,
    sourcemap: dev ? "external" : "none",
    define: { "process.env.NODE_ENV": JSON.stringify(dev ? "development" : "production") },
    plugins: [
      {
        name: "livekit-client in a separate file",
        setup(build) {
          if (!libraryName) return;
          build.onResolve({ filter: /^livekit-client$/ }, () => ({
            path: `./${libraryName}`,
            external: true,
          }));
        },
      },
    ],
  });
  const outputs = await Promise.all(
    result.outputs.map(async (output) => ({ kind: output.kind, text: await output.text() })),
  );
  const code = outputs.find(({ kind }) => kind === "entry-point")?.text;
  if (code === undefined) throw new Error(`Bun.build has no output for ${entry}`);
  return { code, map: outputs.find(({ kind }) => kind === "sourcemap")?.text };
}

function addBundle(files: Map<string, Uint8Array>, name: string, { code, map }: Bundle): void {
  const encoder = new TextEncoder();
  const link = map === undefined ? "" : `\n//# sourceMappingURL=${name}.map\n`;
  files.set(name, encoder.encode(code + link));
  if (map !== undefined) files.set(`${name}.map`, encoder.encode(map));
}

/** Replaces the files one by one, each atomically, and then removes old ones. */
async function replaceFiles(output: string, files: Map<string, Uint8Array>): Promise<void> {
  mkdirSync(output, { recursive: true });
  // The entry point comes last, so that the files that it imports exist.
  const names = [...files.keys()].sort((a, b) => Number(a === "chat.js") - Number(b === "chat.js"));
  for (const name of names) {
    const bytes = files.get(name);
    if (bytes) await writeAtomically(join(output, name), bytes);
  }
  for (const name of readdirSync(output)) {
    if (files.has(name) || name === STAMP || isBeingWritten(join(output, name))) continue;
    rmSync(join(output, name), { force: true });
  }
}

/** Whether another process that builds at the same time may still write a file. */
function isBeingWritten(path: string): boolean {
  const modified = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return path.endsWith(TEMPORARY) && modified > Date.now() - 60_000;
}

async function writeAtomically(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.${process.pid}${TEMPORARY}`;
  await Bun.write(temporary, bytes);
  renameSync(temporary, path);
}

async function readText(path: string): Promise<string | undefined> {
  const file = Bun.file(path);
  return (await file.exists()) ? file.text() : undefined;
}

function hash(text: string): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("hex");
}
