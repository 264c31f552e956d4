import type { GpuChoice } from "../domain/engine-settings.ts";

/** One npm package of node-llama-cpp's, in the scope @node-llama-cpp. */
export interface GpuArchive {
  name: string;
  bytes: number;
  sha256: string;
}

/** llama.cpp for one kind of GPU and one platform. */
export interface GpuBuild {
  gpu: "vulkan" | "cuda";
  /** Its folder inside the packages, by whose name node-llama-cpp knows it. */
  folder: string;
  archives: readonly GpuArchive[];
}

/** The version of node-llama-cpp: the libraries and its code belong together. */
export const GPU_BUILD_VERSION = "3.21.1";

/**
 * The archives of this version. Each SHA-256 is that of the archive whose SHA-512 npm's registry names
 * (`npm view @node-llama-cpp/NAME@VERSION dist.integrity`). They are here, since a forged registry would
 * bring hashes of its own. A new version of node-llama-cpp needs new ones.
 */
const ARCHIVES = {
  "linux-x64-vulkan": {
    name: "linux-x64-vulkan",
    bytes: 27_476_121,
    sha256: "4877be47f01586481615aec277c23c7f660592ce66eec2753ff1dcc967a9a0d2",
  },
  "linux-x64-cuda": {
    name: "linux-x64-cuda",
    bytes: 142_850_036,
    sha256: "499b4012541cb3e01b3d35e18e7dd2dc546174979494b02dbcc0a6667ed6b7d9",
  },
  "linux-x64-cuda-ext": {
    name: "linux-x64-cuda-ext",
    bytes: 176_679_086,
    sha256: "f0129449651b4521254d69876778563be8b5c87b27c76abf122eb66ad208aa1f",
  },
  "win-x64-vulkan": {
    name: "win-x64-vulkan",
    bytes: 26_619_567,
    sha256: "105e8207d2114f5f248b217fee7f9b702d0e7509cf0d3c7565dfb9e707f9303e",
  },
  "win-x64-cuda": {
    name: "win-x64-cuda",
    bytes: 138_542_727,
    sha256: "7824fb3d391d32194f3ee537d70ab3e334030cca71a85b855c368f36b251dc83",
  },
  "win-x64-cuda-ext": {
    name: "win-x64-cuda-ext",
    bytes: 175_417_684,
    sha256: "db173b0a095b0c297549c74dd8963eb7127e84b1629c0e4ce9ee4f653f6f9f82",
  },
} as const satisfies Record<string, GpuArchive>;

const LINUX_VULKAN = build("vulkan", "linux-x64-vulkan", ["linux-x64-vulkan"]);
/** The second package has the code for older NVIDIA drivers. */
const LINUX_CUDA = build("cuda", "linux-x64-cuda", ["linux-x64-cuda", "linux-x64-cuda-ext"]);
const WINDOWS_VULKAN = build("vulkan", "win-x64-vulkan", ["win-x64-vulkan"]);
const WINDOWS_CUDA = build("cuda", "win-x64-cuda", ["win-x64-cuda", "win-x64-cuda-ext"]);

const BUILDS: readonly { machine: string; build: GpuBuild }[] = [
  { machine: "linux-x64", build: LINUX_VULKAN },
  { machine: "linux-x64", build: LINUX_CUDA },
  { machine: "win32-x64", build: WINDOWS_VULKAN },
  { machine: "win32-x64", build: WINDOWS_CUDA },
];

function build(
  gpu: GpuBuild["gpu"],
  folder: string,
  names: readonly (keyof typeof ARCHIVES)[],
): GpuBuild {
  return { gpu, folder, archives: names.map((name) => ARCHIVES[name]) };
}

/**
 * The build that a choice needs besides what Parley contains. `auto` takes Vulkan, which serves the
 * GPUs of all makers and is a fifteenth of CUDA's size.
 *
 * @param machine such as `linux-x64`, by Node's names
 * @returns undefined where there is none
 */
export function buildFor(choice: GpuChoice, machine: string): GpuBuild | undefined {
  const gpu = choice === "auto" ? "vulkan" : choice;
  return BUILDS.find((one) => one.machine === machine && one.build.gpu === gpu)?.build;
}
