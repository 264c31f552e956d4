import { Failure } from "../errors.ts";

export type Sherpa = typeof import("sherpa-onnx-node");

/** Settings that every model of sherpa-onnx takes. */
export function runtimeConfig(numThreads = 1) {
  return { numThreads, provider: "cpu", debug: 0 } as const;
}

/**
 * Loads sherpa-onnx, the library for speech recognition, voices and audio.
 *
 * @throws Failure where this program or this machine has none
 */
export async function loadSherpa(): Promise<Sherpa> {
  try {
    const module = await import("sherpa-onnx-node");
    // The package is CommonJS, whose exports some runtimes put under `default`.
    return "default" in module ? (module.default as Sherpa) : module;
  } catch (cause) {
    throw new Failure(
      "unavailable",
      "The speech library (sherpa-onnx-node) is missing here: run Parley from its source tree, " +
        "where `npm start` installs it, or use another server for speech.",
      { cause },
    );
  }
}

/** llama.cpp, ready to load language models. */
export interface LlamaRuntime {
  library: typeof import("node-llama-cpp");
  llama: import("node-llama-cpp").Llama;
  /** The errors that llama.cpp logs, newest last; the reader empties it. */
  errors: string[];
}

/** What llama.cpp computes on besides the processor. */
export type LlamaGpu = "vulkan" | "cuda" | "metal" | false;

/**
 * Loads llama.cpp, the library for language models.
 *
 * @param gpu one that was probed in another process: a fault in its driver would end this one
 * @param maxThreads of all models together
 * @throws Failure where this program has none
 */
export async function loadLlama(gpu: LlamaGpu, maxThreads = 1): Promise<LlamaRuntime> {
  const library = await import("node-llama-cpp").catch((cause) => {
    throw new Failure(
      "unavailable",
      "The library for language models (node-llama-cpp) is missing here: run Parley from its " +
        "source tree, where `npm start` installs it, or use another server for the language model.",
      { cause },
    );
  });
  const errors: string[] = [];
  const llama = await library.getLlama({
    gpu,
    build: "never",
    skipDownload: true,
    progressLogs: false,
    maxThreads,
    logger: (level, message) => {
      if (level === "error" || level === "fatal") errors.push(message.trim());
    },
  });
  return { library, llama, errors };
}
