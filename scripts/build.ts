// `npm run build`: Parley as one executable, `dist/parley`; without livekit-server,
// `dist/parley-slim`; and with the engine for models of this machine, `dist/parley-offline`.
// `npm run build -- --target=linux-arm64` builds for another machine, as `dist/parley-linux-arm64`;
// `--variant=slim` builds one of the three.
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
import { HTMX_EXTENSIONS, sayError } from "./prepare.ts";
import { say } from "./say.ts";
import { type Component, goComponents } from "./third-party.ts";

const DIST = join(ROOT, "dist");

const VARIANTS = ["slim", "full", "offline"] as const;
type Variant = (typeof VARIANTS)[number];

/** Builds one executable and, beside it, the list of its parts (`NAME.parts.json`). */
async function buildExecutable(target: Target, variant: Variant, suffix: string): Promise<string> {
  const engine = variant === "offline";
  const livekitServer = variant === "slim" ? undefined : await strippedLiveKitServer(target);
  const licenses = executableLicenses(livekitServer ? await partsOf(livekitServer) : [], engine);
  const natives = await nativesFor(target, { livekitServer, engine });
  const { module, parts } = await embed(natives, licenses);
  const outfile = join(DIST, `parley${variant === "full" ? "" : `-${variant}`}${suffix}`);
  const { plugin, assertApplied } = patches(engine ? enginePatches() : []);
  await Bun.build({
    entrypoints: [join(ROOT, "src", "embedded", "main.ts")],
    root: ROOT,
    target: "bun",
    format: "esm",
    // What is not needed to listen stays in files of its own, and bytecode needs no parsing.
    splitting: true,
    bytecode: true,
    // Names stay: agents-js names agents after their classes, and Bun 1.4.5 may give its own helper
    // for dynamic imports of CommonJS the name of the parameter beside it.
    minify: { whitespace: true, syntax: true, identifiers: false },
    define: {
      "process.env.NODE_ENV": JSON.stringify("production"),
      // Else the checkout's path goes in, and two checkouts of one commit build different files.
      __dirname: JSON.stringify("/parley"),
      __filename: JSON.stringify("/parley/index.js"),
    },
    compile: {
      target: target.bun,
      outfile,
      // `.env` in the working directory is part of how Parley is configured. `bunfig.toml` is not:
      // one of another project's could make Parley run that project's code.
      autoloadDotenv: true,
      autoloadBunfig: false,
    },
    plugins: [plugin, engine ? withoutLibraryPackages : withoutEngine, contents(module)],
  });
  assertApplied();
  const path = target.platform === "win32" ? `${outfile}.exe` : outfile;
  await Bun.write(`${outfile}.parts.json`, JSON.stringify(composition(path, parts), null, 2));
  return path;
}

/** What a livekit-server is made of, as far as this machine can tell. */
async function partsOf(server: string): Promise<Component[]> {
  try {
    return await goComponents(server);
  } catch (error) {
    say(`\`parley licenses\` will not list the parts of livekit-server: ${messageOf(error)}`);
    return [];
  }
}

/** The module through which the code finds what is beside it. */
function contents(module: string): Bun.BunPlugin {
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

/** Builds an executable for this machine. @returns its path */
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
  const wanted = VARIANTS.filter((one) => values.variant === undefined || values.variant === one);
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
