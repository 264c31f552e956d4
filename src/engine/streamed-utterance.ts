import type { OnlineRecognizer } from "sherpa-onnx-node";
import type { FairQueue } from "./fair-queue.ts";
import type { Heard, Utterance } from "./recogniser.ts";
import { HEARING_RATE } from "./split-audio.ts";

/** Silence that a streaming model needs after the last word to let go of it, in seconds. */
const TAIL_S = 0.5;
/** Steps of decoding before others get their turn. */
const STEPS = 10;

/** An utterance for models that decode as they hear: interims cost nothing of their own. */
export class StreamedUtterance implements Utterance {
  readonly wavers = false;
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
    this.#stream.acceptWaveform({ samples, sampleRate: HEARING_RATE });
  }

  async interim(signal: AbortSignal): Promise<string> {
    await this.#decode(signal);
    return this.#text();
  }

  async finish(signal: AbortSignal): Promise<Heard[]> {
    this.#stream.acceptWaveform({
      samples: new Float32Array(TAIL_S * HEARING_RATE),
      sampleRate: HEARING_RATE,
    });
    this.#stream.inputFinished();
    await this.#decode(signal);
    return [{ text: this.#text(), start: 0, end: this.#samples / HEARING_RATE }];
  }

  #text(): string {
    return this.#recogniser.getResult(this.#stream).text.trim();
  }

  async #decode(signal: AbortSignal): Promise<void> {
    while (this.#recogniser.isReady(this.#stream)) {
      await this.#queue.run(
        this.#client,
        async () => {
          for (let i = 0; i < STEPS && this.#recogniser.isReady(this.#stream); i++) {
            this.#recogniser.decode(this.#stream);
          }
        },
        signal,
      );
    }
  }
}
