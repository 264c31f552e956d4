import type { OnlineRecognizer } from "sherpa-onnx-node";
import { RECOGNISER_RATE, type SpeechDetector } from "./audio-tools.ts";
import type { FairQueue } from "./fair-queue.ts";
import { type SpeechSpan, SpeechSpans } from "./speech-spans.ts";
import { joinedTexts, overlapOf, rounded, timedWords, type Word, wordsOf } from "./words.ts";

/** The text of a stretch of speech; its bounds are in seconds from the utterance's start. */
export interface Segment {
  text: string;
  start: number;
  end: number;
  /** Undefined where the model tells no times of words. */
  words?: Word[] | undefined;
  /** The code of the language that the model heard, if it tells. */
  language?: string | undefined;
}

/** What a model hears in one stretch of audio; times are in seconds from its start. */
export type Heard = Pick<Segment, "text" | "words" | "language">;

/** A stretch of speech on its way to becoming text. */
export interface Utterance extends Disposable {
  /** Whether words of an interim result may still change. */
  readonly revisable: boolean;
  /** @param samples mono, at `RECOGNISER_RATE` */
  push(samples: Float32Array): void;
  /** Resolves once little of the pushed audio waits for its recognition. @throws the signal's reason */
  ready(signal: AbortSignal): Promise<void>;
  /** The text so far; undefined where asking for it would delay other clients. */
  interim(signal: AbortSignal): Promise<string | undefined>;
  /**
   * The segments whose text is certain and that were not taken before, once little of the pushed
   * audio waits for its recognition. @throws the signal's reason
   */
  take(signal: AbortSignal): Promise<Segment[]>;
  /** All segments that `take` has not returned. Nothing may be pushed afterwards. @throws likewise */
  finish(signal: AbortSignal): Promise<Segment[]>;
}

/** The text of all segments, in one line. */
export function textOf(segments: readonly Segment[]): string {
  return segments.reduce((text, segment) => joinedTexts(text, segment.text), "");
}

/** Spans that may wait for their recognition before `ready` does, and audio of a streaming model. */
const WAITING_SPANS = 3;
const WAITING_SAMPLES = 30 * RECOGNISER_RATE;

/** Recognises audio that is short enough for the model. */
export type Decode = (samples: Float32Array) => Promise<Heard>;

export interface BufferedOptions {
  decode: Decode;
  /** Finds the pauses. */
  detector: SpeechDetector;
  /** The most seconds of audio that `decode` takes. */
  maxSeconds: number;
  queue: FairQueue;
  client: string;
}

/**
 * An utterance for models that take whole recordings: only speech is decoded, in spans that the
 * model can take; each interim result decodes the open span again.
 */
export class BufferedUtterance implements Utterance {
  readonly revisable = true;
  readonly #options: BufferedOptions;
  readonly #spans: SpeechSpans;
  /** Spans that are complete, in order; each waits for the one before it. */
  #decoding: Promise<void> = Promise.resolve();
  #waiting = 0;
  /** Certain segments; the newest may still lose words to the next span that overlaps it. */
  #segments: Segment[] = [];
  /** The text of the segments that were taken, as far as interim results need it. */
  #taken = "";
  /** Counts spans, so that an interim result knows when its own has ended. */
  #complete = 0;
  readonly #abandoned = new AbortController();

  constructor(options: BufferedOptions) {
    this.#options = options;
    this.#spans = new SpeechSpans(options.detector, options.maxSeconds);
  }

  push(samples: Float32Array): void {
    for (const span of this.#spans.push(samples)) this.#decode(span);
  }

  async ready(signal: AbortSignal): Promise<void> {
    if (this.#waiting > WAITING_SPANS) await this.#settled(signal);
  }

  async interim(signal: AbortSignal): Promise<string | undefined> {
    if (this.#options.queue.busy || this.#waiting > 0) return undefined;
    const complete = this.#complete;
    const samples = this.#spans.open;
    const before = joinedTexts(this.#taken, textOf(this.#segments));
    if (samples === undefined) return before;
    const { queue, client, decode } = this.#options;
    const { text } = await queue.run(client, () => decode(samples), signal);
    // A span that ended in the meantime is about to be decoded, and this text is a part of it.
    return complete === this.#complete ? joinedTexts(before, text) : undefined;
  }

  async take(signal: AbortSignal): Promise<Segment[]> {
    await this.#settled(signal);
    const taken = this.#segments.splice(0, this.#segments.length - 1);
    this.#taken = joinedTexts(this.#taken, textOf(taken));
    return taken.filter(({ text }) => text !== "");
  }

  async finish(signal: AbortSignal): Promise<Segment[]> {
    for (const span of this.#spans.finish()) this.#decode(span);
    await this.#settled(signal);
    return this.#segments.filter(({ text }) => text !== "");
  }

  /** Frees the detector, and forgets what was not decoded yet. */
  [Symbol.dispose](): void {
    this.#abandoned.abort(new Error("the utterance is not needed any more"));
    this.#options.detector[Symbol.dispose]();
  }

  async #settled(signal: AbortSignal): Promise<void> {
    const abandon = () => this.#abandoned.abort(signal.reason);
    signal.addEventListener("abort", abandon, { once: true });
    if (signal.aborted) abandon();
    try {
      await this.#decoding;
    } finally {
      signal.removeEventListener("abort", abandon);
    }
  }

  #decode(span: SpeechSpan): void {
    const { queue, client, decode } = this.#options;
    const heard = queue.run(client, () => decode(span.samples), this.#abandoned.signal);
    this.#complete += 1;
    this.#waiting += 1;
    const decoding = this.#decoding;
    this.#decoding = (async () => {
      const [result] = await Promise.all([heard, decoding]);
      this.#append(span, result);
      this.#waiting -= 1;
    })();
    // `finish` reports the rejection; an utterance that is never finished must not raise it.
    this.#decoding.catch(() => {});
  }

  #append(span: SpeechSpan, { text, words, language }: Heard): void {
    const offset = (span.to - span.samples.length) / RECOGNISER_RATE;
    const shifted = words?.map(({ word, start, end }) => ({
      word,
      start: rounded(start + offset),
      end: rounded(end + offset),
    }));
    const segment: Segment = {
      text,
      start: rounded(span.start / RECOGNISER_RATE),
      end: rounded(span.end / RECOGNISER_RATE),
      words: shifted,
      language,
    };
    const before = this.#segments.at(-1);
    if (before && span.overlap > 0) {
      mergeOverlap(before, segment, span.overlap / span.samples.length);
    }
    if (before && span.continues) mergeSentence(before, segment);
    this.#segments.push(segment);
  }
}

/** Removes what two segments have both heard, where they overlap. */
function mergeOverlap(before: Segment, after: Segment, share: number): void {
  const [first, second] = [wordsOf(before.text), wordsOf(after.text)];
  const { kept, skipped } = overlapOf(first, second, share);
  before.text = first.slice(0, kept).join("").trim();
  after.text = second.slice(skipped).join("").trim();
  // The words with times are the text's words, unless the model writes numbers or marks apart.
  before.words = before.words?.slice(0, before.words.length - (first.length - kept));
  after.words = after.words?.slice(skipped);
  const end = before.words?.at(-1)?.end ?? before.end;
  before.end = Math.min(before.end, end);
  after.start = Math.max(after.words?.[0]?.start ?? after.start, before.end);
}

/** Removes the stop that a model writes where its audio ends, if the sentence goes on. */
function mergeSentence(before: Segment, after: Segment): void {
  if (!/^\p{Ll}/u.test(after.text)) return;
  const withoutStop = (text: string) => text.replace(/[.…]+$/, "");
  before.text = withoutStop(before.text);
  const last = before.words?.at(-1);
  if (last) last.word = withoutStop(last.word);
}

/** Silence after which a streaming model outputs the last word, in seconds. */
const TAIL_PADDING_S = 0.5;
/** Decoding steps before other clients get their turn. */
const STEPS_PER_TURN = 10;
/** A pause in seconds that divides a streamed utterance into segments. */
const SEGMENT_PAUSE_S = 1;

export interface StreamingOptions {
  recogniser: OnlineRecognizer;
  /** Writes a text as people do, where the model does not; `isFinal` where no words follow. */
  written: (text: string, isFinal: boolean) => string;
  /** The language that is asked for, and the one that the model hears then. */
  language: string | undefined;
  heard: string | undefined;
  queue: FairQueue;
  client: string;
}

/** An utterance for streaming models, whose interim results cost no additional decoding. */
export class StreamingUtterance implements Utterance {
  readonly revisable = false;
  readonly #options: StreamingOptions;
  readonly #stream: ReturnType<OnlineRecognizer["createStream"]>;
  #samples = 0;
  #decoded = 0;

  constructor(options: StreamingOptions) {
    this.#options = options;
    this.#stream = options.recogniser.createStream();
    if (options.language !== undefined) this.#stream.setOption("language", options.language);
  }

  push(samples: Float32Array): void {
    this.#samples += samples.length;
    this.#stream.acceptWaveform({ samples, sampleRate: RECOGNISER_RATE });
  }

  async ready(signal: AbortSignal): Promise<void> {
    if (this.#samples - this.#decoded > WAITING_SAMPLES) await this.#decode(signal);
  }

  async interim(signal: AbortSignal): Promise<string> {
    await this.#decode(signal);
    const { recogniser, written } = this.#options;
    return written(recogniser.getResult(this.#stream).text.trim(), false);
  }

  async take(signal: AbortSignal): Promise<Segment[]> {
    await this.#decode(signal);
    return [];
  }

  async finish(signal: AbortSignal): Promise<Segment[]> {
    this.#stream.acceptWaveform({
      samples: new Float32Array(TAIL_PADDING_S * RECOGNISER_RATE),
      sampleRate: RECOGNISER_RATE,
    });
    this.#stream.inputFinished();
    await this.#decode(signal);
    const { recogniser, written, heard } = this.#options;
    const result = recogniser.getResult(this.#stream);
    const end = this.#samples / RECOGNISER_RATE;
    const text = written(result.text.trim(), true);
    if (text === "") return [];
    return segmentsOf(text, timedWords(result, end), end).map((one) => ({
      ...one,
      language: heard,
    }));
  }

  [Symbol.dispose](): void {}

  async #decode(signal: AbortSignal): Promise<void> {
    const { recogniser, queue, client } = this.#options;
    this.#decoded = this.#samples;
    while (recogniser.isReady(this.#stream)) {
      await queue.run(
        client,
        async () => {
          for (let i = 0; i < STEPS_PER_TURN && recogniser.isReady(this.#stream); i++) {
            recogniser.decode(this.#stream);
          }
        },
        signal,
      );
    }
  }
}

/** A text divided where its words have a pause. */
function segmentsOf(text: string, words: Word[] | undefined, end: number): Segment[] {
  const written = wordsOf(text);
  // Marks that stand alone would shift the words.
  if (!words || words.length !== written.length) {
    const [first, last] = [words?.[0], words?.at(-1)];
    return [{ text, start: first?.start ?? 0, end: last?.end ?? end, words }];
  }
  const segments: (Segment & { words: Word[] })[] = [];
  for (const [i, { start, end: to }] of words.entries()) {
    const word = written[i] ?? "";
    const current = segments.at(-1);
    if (current && start - current.end < SEGMENT_PAUSE_S) {
      current.text += word;
      current.end = to;
      current.words.push({ word: word.trim(), start, end: to });
    } else {
      const first = { word: word.trim(), start, end: to };
      segments.push({ text: first.word, start, end: to, words: [first] });
    }
  }
  return segments;
}
