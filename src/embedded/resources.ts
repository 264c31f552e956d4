import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Failure } from "../errors.ts";
import { once } from "../lib/once.ts";
import type { Resources } from "../resources.ts";
import type { Contents, PackedBundle } from "./contents.ts";
import { offerNative } from "./natives.ts";
import { unpack } from "./unpack.ts";

/**
 * The resources as the executable carries them. What browsers load is read in place; what has to
 * be a file on disk is unpacked when it is first needed.
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
      const folder = await unpack(database, cache);
      offerNative("sqlite.node", join(folder, "sqlite.node"));
    },
    speech: async () => {
      const folder = await speechFolder();
      offerNative("rtc-node.node", join(folder, "rtc-node.node"));
      offerNative("onnxruntime_binding.node", join(folder, "onnxruntime_binding.node"));
      return { vadModel: join(folder, "silero_vad.onnx") };
    },
    engine: engine && (() => offerEngine(engine, cache)),
    livekitServer: livekit && (() => unpackedServer(livekit, cache)),
  };
}

async function offerEngine(bundle: PackedBundle, cache: string): Promise<void> {
  const folder = await unpack(bundle, cache);
  offerNative("sherpa-onnx.node", join(folder, "sherpa-onnx.node"));
  offerNative("llama-addon.node", join(folder, "llama-addon.node"));
}

async function unpackedServer(bundle: PackedBundle, cache: string): Promise<string> {
  const folder = await unpack(bundle, cache);
  return join(folder, bundle.files[0]?.name ?? "");
}
