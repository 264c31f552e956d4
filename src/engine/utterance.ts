import type { OnlineRecognizer } from "sherpa-onnx-node";
import type { FairQueue } from "./fair-queue.ts";

/** Sample rate in Hz at which recognisers and the voice activity detector take audio. */
export const RECOGNISER_RATE = 16_000;

/** The text of a part of an utterance; its bounds are in seconds from the utterance's start. */
export interface Segment {
  text: string;
  start: number;
  end: number;
}

/** A stretch of speech on its way to becoming text. */
export interface Utterance {
  /** Whether words of an interim result may still change. */
  readonly revisable: boolean;
  /** @param samples mono, at `RECOGNISER_RATE` */
  push(samples: Float32Array): void;
  /** The text so far; undefined where asking for it would delay other clients. */
  interim(signal: AbortSignal): Promise<string | undefined>;
  /** The final text. Nothing may be pushed afterwards. @throws the signal's reason */
  finish(signal: AbortSignal): Promise<Segment[]>;
}

/** The text of all segments, in one line. */
export function textOf(segments: readonly Segment[]): string {
  return segments
    .map((segment) => segment.text)
    .filter(Boolean)
    .join(" ");
}

type Decode = (samples: Float32Array) => Promise<string>;

/**
 * An utterance for models that take whole recordings: each interim result decodes the audio so far
 * again. Audio that is too long for one recognition is cut at pauses, and each segment is decoded
 * once.
 */
export class BufferedUtterance implements Utterance {
  readonly revisable = true;
  readonly #decode: Decode;
  readonly #maxSegmentS: number;
  readonly #queue: FairQueue;
  readonly #client: string;
  /** Segments whose end is known. */
  readonly #segments: { text: Promise<string>; start: number; end: number }[] = [];
  /** The audio after the last of these segments. */
  #tail = new Float32Array();
  /** Samples before the tail. */
  #tailStart = 0;
  readonly #abandoned = new AbortController();

  /** @param maxSegmentS the most seconds of audio that `decode` takes */
  constructor(decode: Decode, maxSegmentS: number, queue: FairQueue, client: string) {
    this.#decode = decode;
    this.#maxSegmentS = maxSegmentS;
    this.#queue = queue;
    this.#client = client;
  }

  push(samples: Float32Array): void {
    this.#tail = concatenated(this.#tail, samples);
    while (this.#tail.length > this.#maxSegmentS * RECOGNISER_RATE) {
      this.#endSegment(quietestCut(this.#tail, this.#maxSegmentS));
    }
  }

  async interim(signal: AbortSignal): Promise<string | undefined> {
    if (this.#queue.busy) return undefined;
    const tail = this.#tail;
    const text = await this.#queue.run(this.#client, () => this.#decode(tail), signal);
    const before = await Promise.all(this.#segments.map((segment) => segment.text));
    // A segment that ended in the meantime contains what was the tail.
    return tail === this.#tail || tail.length < this.#tail.length
      ? [...before, text].filter(Boolean).join(" ")
      : undefined;
  }

  async finish(signal: AbortSignal): Promise<Segment[]> {
    const abandon = () => this.#abandoned.abort(signal.reason);
    signal.addEventListener("abort", abandon, { once: true });
    if (signal.aborted) abandon();
    try {
      this.#endSegment(this.#tail.length);
      const segments = this.#segments.map(async ({ text, start, end }) => ({
        text: await text,
        start: start / RECOGNISER_RATE,
        end: end / RECOGNISER_RATE,
      }));
      return await Promise.all(segments);
    } finally {
      signal.removeEventListener("abort", abandon);
    }
  }

  #endSegment(length: number): void {
    const samples = this.#tail.slice(0, length);
    this.#tail = this.#tail.slice(length);
    const start = this.#tailStart;
    this.#tailStart += length;
    const job = () => this.#decode(samples);
    const text = this.#queue.run(this.#client, job, this.#abandoned.signal);
    // `finish` reports the rejection; an utterance that is never finished must not raise it.
    text.catch(() => {});
    this.#segments.push({ text, start, end: this.#tailStart });
  }
}

function concatenated(a: Float32Array, b: Float32Array): Float32Array<ArrayBuffer> {
  const all = new Float32Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}

/** A pause is looked for in this last share of the longest segment. */
const SEARCHED_SHARE = 1 / 3;
const CUT_WINDOW = RECOGNISER_RATE / 10;

/**
 * Where to cut audio that is too long for one recognition: in the middle of the quietest tenth of a
 * second towards the end of the longest segment that is allowed.
 *
 * @param samples at `RECOGNISER_RATE`, longer than `maxSegmentS`
 * @returns an index into the samples
 */
export function quietestCut(samples: Float32Array, maxSegmentS: number): number {
  const end = maxSegmentS * RECOGNISER_RATE;
  const from = Math.round(end * (1 - SEARCHED_SHARE));
  let best = end;
  let least = Number.POSITIVE_INFINITY;
  for (let at = from; at + CUT_WINDOW <= end; at += CUT_WINDOW / 2) {
    let energy = 0;
    for (let i = at; i < at + CUT_WINDOW; i++) energy += (samples[i] ?? 0) ** 2;
    if (energy <= least) {
      least = energy;
      best = at + CUT_WINDOW / 2;
    }
  }
  return best;
}

/** Silence after which a streaming model outputs the last word, in seconds. */
const TAIL_PADDING_S = 0.5;
/** Decoding steps before other clients get their turn. */
const STEPS_PER_TURN = 10;

/** An utterance for streaming models, whose interim results cost no additional decoding. */
export class StreamingUtterance implements Utterance {
  readonly revisable = false;
  readonly #recogniser: OnlineRecognizer;
  readonly #stream: ReturnType<OnlineRecognizer["createStream"]>;
  readonly #queue: FairQueue;
  readonly #client: string;
  #samples = 0;

  constructor(recogniser: OnlineRecognizer, queue: FairQueue, client: string) {
    this.#recogniser = recogniser;
    this.#stream = recogniser.createStream();
    this.#queue = queue;
    this.#client = client;
  }

  push(samples: Float32Array): void {
    this.#samples += samples.length;
    this.#stream.acceptWaveform({ samples, sampleRate: RECOGNISER_RATE });
  }

  async interim(signal: AbortSignal): Promise<string> {
    await this.#decode(signal);
    return this.#text();
  }

  async finish(signal: AbortSignal): Promise<Segment[]> {
    this.#stream.acceptWaveform({
      samples: new Float32Array(TAIL_PADDING_S * RECOGNISER_RATE),
      sampleRate: RECOGNISER_RATE,
    });
    this.#stream.inputFinished();
    await this.#decode(signal);
    return [{ text: this.#text(), start: 0, end: this.#samples / RECOGNISER_RATE }];
  }

  #text(): string {
    return this.#recogniser.getResult(this.#stream).text.trim();
  }

  async #decode(signal: AbortSignal): Promise<void> {
    while (this.#recogniser.isReady(this.#stream)) {
      await this.#queue.run(
        this.#client,
        async () => {
          for (let i = 0; i < STEPS_PER_TURN && this.#recogniser.isReady(this.#stream); i++) {
            this.#recogniser.decode(this.#stream);
          }
        },
        signal,
      );
    }
  }
}
