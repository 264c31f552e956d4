import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { z } from "zod";
import { bytesOf, type CatalogModel } from "../domain/catalog.ts";
import { withDeadline } from "../lib/deadline.ts";
import type { Figures } from "./measurements.ts";

/** How fast a machine is at the two things that local models wait for. */
export interface MachineSpeed {
  /** Multiplications with an addition, by all processors together in plain code. */
  multiplyAddsPerSecond: number;
  /** Bytes that all processors together read from memory and write to it. */
  bytesPerSecond: number;
}

const probeResult = z.object({
  multiplyAddsPerSecond: z.number().positive(),
  bytesPerSecond: z.number().positive(),
});

const MAX_THREADS = 16;
/** Threads of a busy machine may have to wait, in ms. */
const DEADLINE_MS = 5000;

/**
 * What each thread runs: a product of two matrices that stay in its cache, and copies of more bytes
 * than any cache has, for 150 ms each. It is a text because an executable has no file for a thread.
 */
const PROBE = `
const { parentPort } = require("node:worker_threads");
function during(work) {
  const startedAt = performance.now();
  let done = 0, now;
  do { done += work(); now = performance.now(); } while (now - startedAt < 150);
  return (1000 * done) / (now - startedAt);
}
function multiply(a, b, c, size) {
  for (let i = 0; i < size; i++)
    for (let k = 0; k < size; k++) {
      const left = a[i * size + k];
      for (let j = 0; j < size; j++) c[i * size + j] += left * b[k * size + j];
    }
  return size ** 3;
}
function probe(size, bytes) {
  const a = new Float32Array(size * size).fill(0.5), b = a.slice(), c = a.slice();
  const from = new Uint8Array(bytes).fill(1), to = new Uint8Array(bytes).fill(2);
  const product = () => multiply(a, b, c, size);
  during(product);
  return {
    multiplyAddsPerSecond: during(product),
    bytesPerSecond: during(() => (to.set(from), 2 * bytes)),
  };
}
parentPort.postMessage(probe(96, 48 * 2 ** 20));
`;

/** Measures this machine in under a second, on threads of its own. @throws Error after a deadline */
export async function probeSpeed(): Promise<MachineSpeed> {
  const threads = Math.min(MAX_THREADS, availableParallelism());
  const results = await Promise.all(Array.from({ length: threads }, probeOnThread));
  return results.reduce((sum, one) => ({
    multiplyAddsPerSecond: sum.multiplyAddsPerSecond + one.multiplyAddsPerSecond,
    bytesPerSecond: sum.bytesPerSecond + one.bytesPerSecond,
  }));
}

async function probeOnThread(): Promise<MachineSpeed> {
  const worker = new Worker(PROBE, { eval: true });
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  worker.once("message", resolve).once("error", reject);
  try {
    return probeResult.parse(await withDeadline(promise, DEADLINE_MS, "the speed probe"));
  } finally {
    await worker.terminate();
  }
}

/**
 * What the probe's figures mean for models: tokens read a second are multiplied additions by weights
 * (a byte of a file in 4 bits holds about 1.65), tokens written a second are bytes by the file's.
 * Measured with files of random weights (bench/README.md has the figures and how far off they are).
 */
const READING = 60;
const WRITING = 0.6;
const WEIGHTS_PER_BYTE = 1.65;
/** The time of the work by the time of the audio, for a byte of the files and a multiplied addition a second. */
const BY_KIND: Readonly<Record<string, number>> = {
  moonshine: 1,
  piper: 1.7,
  // Not measured here; from what others measured beside the two above.
  whisper: 4,
  "sense-voice": 0.4,
  "nemo-transducer": 0.3,
  "streaming-transducer": 0.7,
  kitten: 7,
  supertonic: 2.3,
  kokoro: 9,
};

/** What a model would do on a machine; nothing for kinds that were never measured. */
export function estimated(model: CatalogModel, speed: MachineSpeed): Figures {
  const bytes = bytesOf(model);
  if (model.kind === "gguf") {
    return {
      promptTokensPerSecond: (READING * speed.multiplyAddsPerSecond) / (bytes * WEIGHTS_PER_BYTE),
      generationTokensPerSecond: (WRITING * speed.bytesPerSecond) / bytes,
      memory: model.memory,
    };
  }
  const work = BY_KIND[model.kind];
  if (work === undefined) return { memory: model.memory };
  const realTimeFactor = (work * bytes) / speed.multiplyAddsPerSecond;
  return { realTimeFactor, memory: model.memory };
}
