import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { ROOT } from "../paths.ts";
import { say } from "../say.ts";
import type { Natives } from "./embed.ts";
import { engineNatives } from "./engine.ts";
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
  const rtc = await rtcPackage(target);
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
    engine: engine ? engineNatives(target) : [],
    livekit: livekitServer ? [{ name: basename(livekitServer), path: livekitServer }] : [],
  };
}

/** rtc-node has one package of bindings per platform, of which only this machine's is installed. */
async function rtcPackage(target: Target): Promise<string> {
  const name = `@livekit/rtc-ffi-bindings-${target.rtc}`;
  const installed = join(ROOT, "node_modules", name);
  if (existsSync(installed)) return installed;
  const { overrides } = await Bun.file(join(ROOT, "package.json")).json();
  const bindings = await Bun.file(packageFile("@livekit/rtc-ffi-bindings/package.json")).json();
  const version = overrides[name] ?? bindings.version;
  const folder = join(ROOT, ".cache", "packages", `${target.rtc}-${version}`);
  if (!existsSync(folder)) await downloadPackage(name, String(version), folder);
  return folder;
}

/** Downloads a package of another platform with `npm pack`, which verifies it. */
async function downloadPackage(name: string, version: string, folder: string): Promise<void> {
  say(`downloading ${name}@${version}`);
  const parent = join(ROOT, ".cache", "packages");
  mkdirSync(parent, { recursive: true });
  const work = mkdtempSync(join(parent, "tmp-"));
  try {
    const packed = Bun.spawn(["npm", "pack", "--silent", `${name}@${version}`], {
      cwd: work,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [tarball, errors] = await Promise.all([
      new Response(packed.stdout).text(),
      new Response(packed.stderr).text(),
    ]);
    if ((await packed.exited) !== 0)
      throw new Error(`npm could not download ${name}: ${errors.trim()}`);
    const archive = new Bun.Archive(await Bun.file(join(work, tarball.trim())).bytes());
    await archive.extract(work);
    renameSync(join(work, "package"), folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
