import type { GpuChoice } from "../domain/engine-settings.ts";
import { Failure, messageOf } from "../errors.ts";
import { formatBytes } from "../lib/words.ts";
import { type FetchOptions, fetchBuild, folderOf, isFetched, sizeOf } from "./fetch-build.ts";
import { buildFor, type GpuBuild } from "./gpu-builds.ts";
import { type Probe, probeGpu } from "./probe-build.ts";

export interface GpuOptions {
  choice: GpuChoice;
  cache: string;
  /** What the process that probes a GPU gets, without Parley's keys. */
  environment: Record<string, string>;
  /** The command that probes a GPU in a process of its own; see `probeGpu`. */
  probeCommand: (gpu: "vulkan" | "cuda") => readonly string[];
  /** Such as `linux-x64`, by Node's names. */
  machine?: string;
}

/** What language models compute on. */
export interface GpuDecision {
  use: "vulkan" | "cuda" | "metal" | false;
  /** The folder of the build that was probed; undefined: what Parley contains. */
  folder: string | undefined;
  /** A sentence for people; undefined if no GPU was asked for. */
  text: string | undefined;
  /** Whether a GPU was asked for and is not used. */
  isFallback: boolean;
}

const MAKERS = { vulkan: "Vulkan", cuda: "CUDA" } as const;
const THIS_MACHINE = `${process.platform}-${process.arch}`;

/** The build that has to be fetched for a choice; undefined if none has, or none is there. */
function missingBuild({ choice, cache, machine = THIS_MACHINE }: GpuOptions) {
  const build = choice === "off" ? undefined : buildFor(choice, machine);
  return build && !isFetched(build, cache) ? build : undefined;
}

/** Decides what language models compute on, with the builds that are there. Never throws. */
export async function decideGpu(options: GpuOptions, signal?: AbortSignal): Promise<GpuDecision> {
  const { choice, cache, environment, probeCommand, machine = THIS_MACHINE } = options;
  if (choice === "off") {
    return { use: false, folder: undefined, text: undefined, isFallback: false };
  }
  // Metal is part of macOS and of the library that Parley contains.
  if (machine === "darwin-arm64" && (choice === "auto" || choice === "metal")) {
    const text = "Language models use the GPU of this Mac (Metal).";
    return { use: "metal", folder: undefined, text, isFallback: false };
  }
  const build = buildFor(choice, machine);
  if (build === undefined) return fallback(`there is no ${choice} build for ${machine}`);
  const name = MAKERS[build.gpu];
  if (!isFetched(build, cache)) {
    const size = formatBytes(sizeOf(build));
    return fallback(`the ${name} build (${size}) is not downloaded: \`parley models pull gpu\``);
  }
  const probe = await probeGpu(probeCommand(build.gpu), {
    folder: folderOf(build, cache),
    environment,
    ...(signal ? { signal } : {}),
  });
  if ("problem" in probe) return fallback(`${name} does not work here: ${probe.problem}`);
  return works(build, cache, probe);
}

function works(
  build: GpuBuild,
  cache: string,
  { devices }: Extract<Probe, { devices: readonly string[] }>,
): GpuDecision {
  const text = `Language models use the GPU: ${devices.join(", ")} (${MAKERS[build.gpu]}).`;
  return { use: build.gpu, folder: folderOf(build, cache), text, isFallback: false };
}

function fallback(why: string): GpuDecision {
  const text = `Language models use the processor: ${why}.`;
  return { use: false, folder: undefined, text, isFallback: true };
}

/** The GPU as the Models page tells of it: its build is fetched, if need be, and then probed. */
export class GpuStatus implements AsyncDisposable {
  readonly #options: GpuOptions & Pick<FetchOptions, "registry">;
  readonly #stop = new AbortController();
  /** Resolves when nothing is fetched or probed any more. */
  readonly settled: Promise<void>;
  #text: string | undefined;

  constructor(options: GpuOptions & Pick<FetchOptions, "registry">) {
    this.#options = options;
    this.settled = this.#prepare();
  }

  /** What language models use, or what keeps them from using the GPU; undefined if no GPU is asked for. */
  get text(): string | undefined {
    return this.#text;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.settled;
  }

  async #prepare(): Promise<void> {
    const build = missingBuild(this.#options);
    if (build) {
      try {
        await this.#fetch(build);
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        const why = error instanceof Failure ? error.message : messageOf(error);
        this.#text = `Language models use the processor: the GPU's library could not be had: ${why}`;
        return;
      }
    }
    this.#text = (await decideGpu(this.#options, this.#stop.signal)).text;
  }

  async #fetch(build: GpuBuild): Promise<void> {
    const { cache, registry } = this.#options;
    const tell = (received: number, total: number) => {
      const part = `${formatBytes(received)} of ${formatBytes(total)}`;
      this.#text = `Language models use the processor while the ${MAKERS[build.gpu]} build is downloaded (${part}).`;
    };
    tell(0, sizeOf(build));
    await fetchBuild(build, { cache, registry, signal: this.#stop.signal, onProgress: tell });
  }
}
