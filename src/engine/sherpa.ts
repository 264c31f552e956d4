import { availableParallelism } from "node:os";
import { Failure } from "../errors.ts";

export type Sherpa = typeof import("sherpa-onnx-node");

/** More threads than this cost more than they bring for models that fit a conversation. */
const MOST_THREADS = 8;

/**
 * How many threads an inference may use on this machine: all processors but one. The threads of
 * one inference wait for each other at every step; where another program takes the processor of one,
 * all stand still, and the whole is many times slower than with a thread less.
 */
export function threads(): number {
  return Math.max(1, Math.min(MOST_THREADS, availableParallelism() - 1));
}

/** Settings that every model of sherpa-onnx takes. */
export function runtimeConfig() {
  return { numThreads: threads(), provider: "cpu", debug: 0 } as const;
}

/**
 * sherpa-onnx, with its native library.
 *
 * @throws Failure where this Parley, or this machine, has none
 */
export async function loadSherpa(): Promise<Sherpa> {
  try {
    const module = await import("sherpa-onnx-node");
    // CommonJS, whose exports a runtime gives as they are or as the default.
    return "default" in module ? (module.default as Sherpa) : module;
  } catch (cause) {
    throw new Failure(
      "unavailable",
      "This Parley has no speech library (sherpa-onnx-node) for this machine: run it from its " +
        "source tree, where `npm start` installs it, or use other servers for speech.",
      { cause },
    );
  }
}
