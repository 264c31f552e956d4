// `npm run build`: builds Parley as one executable, `dist/parley`; without livekit-server,
// `dist/parley-slim`; and with the engine for local models, `dist/parley-offline`.
// `npm run build -- --target=linux-arm64` builds for another platform, as `dist/parley-linux-arm64`;
// `--variant=slim` builds only one of the three.
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { messageOf } from "../src/errors.ts";
import { embed, type Part } from "./build/embed.ts";
import { enginePatches, withoutLibraryPackages } from "./build/engine.ts";
import { strippedLiveKitServer } from "./build/livekit.ts";
import { nativesFor } from "./build/natives.ts";
import { patches, withoutEngine } from "./build/patches.ts";
import { type Target, targetNamed } from "./build/targets.ts";
import { buildClient } from "./build-client.ts";
import { executableLicenses } from "./licenses.ts";
import { ROOT } from "./paths.ts";
import { HTMX_EXTENSIONS } from "./prepare.ts";
import { say, sayError } from "./say.ts";
import { type Component, goComponents } from "./third-party.ts";

const DIST = join(ROOT, "dist");

const VARIANTS = ["slim", "full", "offline"] as const;
type Variant = (typeof VARIANTS)[number];

/**
 * Builds one executable, and a list of its parts (`NAME.parts.json`).
 *
 * @param suffix of the file name, for another target
 * @returns the path of the executable
 */
async function buildExecutable(target: Target, variant: Variant, suffix: string): Promise<string> {
  const engine = variant === "offline";
  const livekitServer = variant === "slim" ? undefined : await strippedLiveKitServer(target);
  const licenses = executableLicenses(livekitServer ? await modulesOf(livekitServer) : [], engine);
  const natives = await nativesFor(target, { livekitServer, engine });
  const { module, parts } = await embed(natives, licenses);
  const outfile = join(DIST, `parley${variant === "full" ? "" : `-${variant}`}${suffix}`);
  const { plugin, assertApplied } = patches(engine ? enginePatches() : []);
  await Bun.build({
    entrypoints: ["main.ts", "maintenance-worker.ts"].map((name) =>
      join(ROOT, "src", "embedded", name),
    ),
    root: ROOT,
    target: "bun",
    format: "esm",
    // For a quick start: code that is not needed to listen is loaded later, and bytecode needs no
    // parsing.
    splitting: true,
    bytecode: true,
    // Identifiers are kept: agents-js names agents after their classes, and Bun 1.4.5 may give its
    // helper for dynamic imports of CommonJS the same name as a parameter next to it.
    minify: { whitespace: true, syntax: true, identifiers: false },
    define: {
      "process.env.NODE_ENV": JSON.stringify("production"),
      // Otherwise the checkout's path is built in, and two checkouts of one commit differ.
      __dirname: JSON.stringify("/parley"),
      __filename: JSON.stringify("/parley/index.js"),
    },
    compile: {
      target: target.bun,
      outfile,
      // `.env` in the working directory is part of Parley's configuration. `bunfig.toml` is not: that
      // of another project could make Parley run the project's code.
      autoloadDotenv: true,
      autoloadBunfig: false,
    },
    plugins: [plugin, engine ? withoutLibraryPackages : withoutEngine, contentsModule(module)],
  });
  assertApplied();
  const path = target.platform === "win32" ? `${outfile}.exe` : outfile;
  await Bun.write(`${outfile}.parts.json`, JSON.stringify(composition(path, parts), null, 2));
  return path;
}

/** The Go modules in a livekit-server; none if this machine cannot list them. */
async function modulesOf(server: string): Promise<Component[]> {
  try {
    return await goComponents(server);
  } catch (error) {
    say(`\`parley licenses\` will not list the parts of livekit-server: ${messageOf(error)}`);
    return [];
  }
}

/** Resolves `parley:contents`, through which the code finds the embedded files. */
function contentsModule(module: string): Bun.BunPlugin {
  return {
    name: "contents of the executable",
    setup(build) {
      build.onResolve({ filter: /^parley:contents$/ }, ({ path }) => ({
        path,
        namespace: "parley",
      }));
      build.onLoad({ filter: /./, namespace: "parley" }, () => ({
        contents: module,
        loader: "js",
      }));
    },
  };
}

function composition(path: string, parts: Part[]): Part[] {
  const { size } = statSync(path);
  const rest = size - parts.reduce((sum, part) => sum + part.packed, 0);
  return [{ name: "Bun and Parley's code", size: rest, packed: rest }, ...parts];
}

/** Builds an executable for this machine, `dist/parley` or its variant. @returns its path */
export async function buildParley(variant: Variant): Promise<string> {
  mkdirSync(DIST, { recursive: true });
  await buildClient({ htmxExtensions: HTMX_EXTENSIONS });
  return buildExecutable(targetNamed(undefined), variant, "");
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      target: { type: "string" },
      variant: { type: "string" },
    },
  });
  const target = targetNamed(values.target);
  const suffix = values.target === undefined ? "" : `-${target.name}`;
  mkdirSync(DIST, { recursive: true });
  await buildClient({ htmxExtensions: HTMX_EXTENSIONS });
  const wanted = VARIANTS.filter((name) => values.variant === undefined || values.variant === name);
  if (wanted.length === 0) throw new Error(`--variant is one of ${VARIANTS.join(", ")}`);
  for (const variant of wanted) {
    const path = await buildExecutable(target, variant, suffix);
    say(`${path}: ${(statSync(path).size / 2 ** 20).toFixed(1)} MiB`);
  }
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    sayError(error);
    process.exit(1);
  }
}
