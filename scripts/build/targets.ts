import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { ROOT } from "../paths.ts";

/** A platform that executables can be built for. */
export interface Target {
  /** The value of `--target`, such as `linux-x64`. */
  name: string;
  platform: "linux" | "darwin" | "win32";
  arch: "x64" | "arm64";
  /** Bun's name for the platform. */
  bun: "bun-linux-x64" | "bun-linux-arm64" | "bun-darwin-arm64" | "bun-windows-x64";
  /** rtc-node's package of native bindings. */
  rtc: string;
  /** The packages with the libraries of sherpa-onnx and llama.cpp; see `engine.ts`. */
  sherpa: string;
  llama: string;
  /** The libraries that onnxruntime's binding loads from its own folder. */
  onnxruntime: readonly string[];
}

const ONNXRUNTIME_VERSION = "1.24.3";

const TARGETS: readonly Target[] = [
  {
    name: "linux-x64",
    platform: "linux",
    arch: "x64",
    bun: "bun-linux-x64",
    rtc: "linux-x64-gnu",
    sherpa: "sherpa-onnx-linux-x64",
    llama: "linux-x64",
    onnxruntime: ["libonnxruntime.so.1"],
  },
  {
    name: "linux-arm64",
    platform: "linux",
    arch: "arm64",
    bun: "bun-linux-arm64",
    rtc: "linux-arm64-gnu",
    sherpa: "sherpa-onnx-linux-arm64",
    llama: "linux-arm64",
    onnxruntime: ["libonnxruntime.so.1"],
  },
  {
    name: "darwin-arm64",
    platform: "darwin",
    arch: "arm64",
    bun: "bun-darwin-arm64",
    rtc: "darwin-arm64",
    sherpa: "sherpa-onnx-darwin-arm64",
    llama: "mac-arm64-metal",
    onnxruntime: [`libonnxruntime.${ONNXRUNTIME_VERSION}.dylib`],
  },
  {
    name: "windows-x64",
    platform: "win32",
    arch: "x64",
    bun: "bun-windows-x64",
    rtc: "win32-x64-msvc",
    sherpa: "sherpa-onnx-win-x64",
    llama: "win-x64",
    onnxruntime: ["onnxruntime.dll", "DirectML.dll"],
  },
];

/** Why no executable can be built for a platform, where the reason is known. */
const IMPOSSIBLE: Record<string, string> = {
  "darwin-x64": `onnxruntime-node ${ONNXRUNTIME_VERSION} has no library for Macs with Intel processors`,
};

/** @param name undefined: this machine's platform @throws Error if it cannot be built, and why */
export function targetNamed(name: string = hostName()): Target {
  const target = TARGETS.find((target) => target.name === name);
  if (target) return target;
  const why = IMPOSSIBLE[name] ?? `the targets are ${TARGETS.map(({ name }) => name).join(", ")}`;
  throw new Error(`no executable can be built for ${name}: ${why}`);
}

function hostName(): string {
  return `${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
}

/** @returns the folder of an installed package @throws Error if it is missing */
export function packageFolder(name: string): string {
  return dirname(packageFile(join(name, "package.json")));
}

/** @returns the file in `node_modules` @throws Error if it is missing */
export function packageFile(path: string): string {
  const absolute = join(ROOT, "node_modules", path);
  if (!existsSync(absolute)) throw new Error(`${path} is missing in node_modules`);
  return absolute;
}
