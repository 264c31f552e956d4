import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Failure } from "../errors.ts";
import { once } from "../lib/lazy.ts";
import type { Resources } from "../resources.ts";
import type { Contents, PackedBundle } from "./contents.ts";
import { registerNative } from "./natives.ts";
import { unpack } from "./unpack.ts";

/**
 * The resources inside the executable. Files for browsers are read in place; native libraries and
 * programs are unpacked when they are first needed.
 *
 * @param cache the folder to unpack to
 */
export function embeddedResources(contents: Contents, cache: string): Resources {
  const { assets, database, speech, engine, livekit } = contents;
  const names = new Set(Object.keys(assets));
  const speechFolder = once(() => unpack(speech, cache));
  return {
    assets: {
      names: () => names,
      read: (path) => {
        const embedded = assets[path];
        if (embedded === undefined) throw new Failure("not_found", `there is no ${path}`);
        return new Uint8Array(Bun.zstdDecompressSync(readFileSync(embedded)));
      },
    },
    migrations: () => contents.migrations,
    database: async () => {
      const library = join(await unpack(database, cache), "sqlite.node");
      registerNative("sqlite.node", library);
      // The path of an entry point in `scripts/build.ts`, relative to the project.
      return { path: "./src/embedded/maintenance-worker.ts", library };
    },
    speech: async () => {
      const folder = await speechFolder();
      registerNative("rtc-node.node", join(folder, "rtc-node.node"));
      registerNative("onnxruntime_binding.node", join(folder, "onnxruntime_binding.node"));
      return { vadModel: join(folder, "silero_vad.onnx") };
    },
    engine: engine && (() => unpackEngine(engine, cache)),
    useLlama: (folder) => registerNative("llama-addon.node", join(folder, "llama-addon.node")),
    livekitServer: livekit && (() => unpackServer(livekit, cache)),
  };
}

async function unpackEngine(bundle: PackedBundle, cache: string): Promise<void> {
  const folder = await unpack(bundle, cache);
  registerNative("sherpa-onnx.node", join(folder, "sherpa-onnx.node"));
  registerNative("llama-addon.node", join(folder, "llama-addon.node"));
}

async function unpackServer(bundle: PackedBundle, cache: string): Promise<string> {
  const folder = await unpack(bundle, cache);
  return join(folder, bundle.files[0]?.name ?? "");
}
