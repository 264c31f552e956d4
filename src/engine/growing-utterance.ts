import type { FairQueue } from "./fair-queue.ts";
import type { Heard, Utterance } from "./recogniser.ts";
import { HEARING_RATE, quietestCut } from "./split-audio.ts";

type Decode = (samples: Float32Array) => Promise<string>;

/**
 * An utterance for models that take whole recordings: interims decode again what there is so far.
 * What is too long for one recognition is cut at pauses, and each part is decoded once.
 */
export class GrowingUtterance implements Utterance {
  readonly wavers = true;
  readonly #decode: Decode;
  readonly #longestS: number;
  readonly #queue: FairQueue;
  readonly #client: string;
  /** Parts that have their end. */
  readonly #parts: { text: Promise<string>; start: number; end: number }[] = [];
  #tail = new Float32Array();
  /** Samples before the tail. */
  #before = 0;
  readonly #abandoned = new AbortController();

  /** @param longestS the most seconds that `decode` takes */
  constructor(decode: Decode, longestS: number, queue: FairQueue, client: string) {
    this.#decode = decode;
    this.#longestS = longestS;
    this.#queue = queue;
    this.#client = client;
  }

  push(samples: Float32Array): void {
    this.#tail = joined(this.#tail, samples);
    while (this.#tail.length > this.#longestS * HEARING_RATE) {
      this.#endPart(quietestCut(this.#tail, this.#longestS));
    }
  }

  async interim(signal: AbortSignal): Promise<string | undefined> {
    if (this.#queue.busy) return undefined;
    const tail = this.#tail;
    const text = await this.#queue.run(this.#client, () => this.#decode(tail), signal);
    const before = await Promise.all(this.#parts.map((part) => part.text));
    // A part that ended meanwhile holds what the tail was.
    return tail === this.#tail || tail.length < this.#tail.length
      ? [...before, text].filter(Boolean).join(" ")
      : undefined;
  }

  async finish(signal: AbortSignal): Promise<Heard[]> {
    const abandon = () => this.#abandoned.abort(signal.reason);
    signal.addEventListener("abort", abandon, { once: true });
    if (signal.aborted) abandon();
    try {
      this.#endPart(this.#tail.length);
      const heard = this.#parts.map(async ({ text, start, end }) => ({
        text: await text,
        start: start / HEARING_RATE,
        end: end / HEARING_RATE,
      }));
      return await Promise.all(heard);
    } finally {
      signal.removeEventListener("abort", abandon);
    }
  }

  #endPart(length: number): void {
    const samples = this.#tail.slice(0, length);
    this.#tail = this.#tail.slice(length);
    const start = this.#before;
    this.#before += length;
    const job = () => this.#decode(samples);
    const text = this.#queue.run(this.#client, job, this.#abandoned.signal);
    // Whoever finishes the utterance gets the rejection; that nobody does is no error of its own.
    text.catch(() => {});
    this.#parts.push({ text, start, end: this.#before });
  }
}

function joined(a: Float32Array, b: Float32Array): Float32Array<ArrayBuffer> {
  const all = new Float32Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}
