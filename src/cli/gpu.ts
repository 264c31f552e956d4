import type { z } from "zod";
import type { EngineSettings } from "../domain/engine-settings.ts";
import { cacheFolder } from "../embedded/cache-folder.ts";
import { loadLlama } from "../engine/native-libraries.ts";
import { Failure } from "../errors.ts";
import { fetchBuild, folderOf } from "../gpu/fetch-build.ts";
import { buildFor, type GpuBuild } from "../gpu/gpu-builds.ts";
import { decideGpu, type GpuOptions } from "../gpu/gpu-support.ts";
import type { probeReport } from "../gpu/probe-build.ts";
import { childEnvironment } from "../lib/child-environment.ts";
import { throttled } from "../lib/throttled.ts";
import { formatBytes } from "../lib/words.ts";
import type { Program } from "./serve.ts";

/** How this program looks for a GPU, and fetches the library for it. */
export function gpuOptions(
  { command }: Program,
  variables: NodeJS.ProcessEnv,
  { gpu }: EngineSettings,
): GpuOptions & { registry: string | undefined } {
  return {
    choice: gpu,
    cache: cacheFolder(variables),
    registry: variables["npm_config_registry"],
    environment: childEnvironment(variables),
    probeCommand: (kind) => [...command, "engine", "--probe-gpu", kind],
  };
}

/**
 * `parley engine --probe-gpu`: loads the library for a GPU in this process, which a driver may end,
 * and prints the devices that it found.
 *
 * @throws Failure when the library is not there
 */
export async function reportGpu(
  { resources }: Program,
  variables: NodeJS.ProcessEnv,
  gpu: string,
): Promise<number> {
  const build = gpu === "vulkan" || gpu === "cuda" ? buildHere(gpu) : undefined;
  if (build === undefined) throw new Failure("invalid", `there is no build for ${gpu} here`);
  resources.useLlama?.(folderOf(build, cacheFolder(variables)));
  const { llama } = await loadLlama(build.gpu);
  const devices = llama.gpu === build.gpu ? await llama.getGpuDeviceNames() : [];
  const report: z.infer<typeof probeReport> = { devices };
  process.stdout.write(`${JSON.stringify(report)}\n`);
  return 0;
}

/**
 * `parley models pull gpu`: downloads the library for the GPU that `ENGINE_GPU` names, by default
 * Vulkan's, and tries it.
 *
 * @throws Failure when there is none for this machine, or it cannot be downloaded
 */
export async function pullGpu(
  program: Program,
  variables: NodeJS.ProcessEnv,
  settings: EngineSettings,
): Promise<void> {
  const isUnset = settings.gpu === "off";
  const options = gpuOptions(program, variables, isUnset ? { ...settings, gpu: "auto" } : settings);
  const machine = `${process.platform}-${process.arch}`;
  const build = buildFor(options.choice, machine);
  if (build === undefined) {
    throw new Failure("not_found", `there is nothing to download for ENGINE_GPU on ${machine}`);
  }
  const report = throttled((text: string) => process.stderr.write(`${text}\n`));
  await fetchBuild(build, {
    ...options,
    onProgress: (received, total) =>
      report(() => `gpu: ${formatBytes(received)} of ${formatBytes(total)}`),
  });
  const { text } = await decideGpu(options);
  process.stdout.write(`gpu: verified. ${text}\n`);
  if (isUnset) process.stdout.write(`Set ENGINE_GPU=${build.gpu} to use it.\n`);
}

function buildHere(gpu: "vulkan" | "cuda"): GpuBuild | undefined {
  return buildFor(gpu, `${process.platform}-${process.arch}`);
}
