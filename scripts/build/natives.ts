import { basename, join } from "node:path";
import type { Natives } from "./embed.ts";
import { engineNatives } from "./engine.ts";
import { platformPackage } from "./platform-packages.ts";
import { packageFile, type Target } from "./targets.ts";

/** The native files inside an executable for a target. @throws Error if one is missing */
export async function nativesFor(
  target: Target,
  { livekitServer, engine }: { livekitServer: string | undefined; engine: boolean },
): Promise<Natives> {
  const { platform, arch } = target;
  const onnxruntime = join("onnxruntime-node", "bin", "napi-v6", platform, arch);
  const sqlite = join("better-sqlite3", "prebuilds", `${platform}-${arch}.node`);
  const model = join("@livekit", "agents-plugin-silero", "dist", "silero_vad.onnx");
  const rtc = await platformPackage(`@livekit/rtc-ffi-bindings-${target.rtc}`);
  return {
    database: [{ name: "sqlite.node", path: packageFile(sqlite) }],
    speech: [
      { name: "rtc-node.node", path: join(rtc, `rtc-node.${target.rtc}.node`) },
      ...["onnxruntime_binding.node", ...target.onnxruntime].map((name) => ({
        name,
        path: packageFile(join(onnxruntime, name)),
      })),
      { name: "silero_vad.onnx", path: packageFile(model) },
    ],
    engine: engine ? await engineNatives(target) : [],
    livekit: livekitServer ? [{ name: basename(livekitServer), path: livekitServer }] : [],
  };
}
