import { type VADEvent, VADEventType } from "@livekit/agents";

/** The VAD's probability above which one of its windows counts as speech. */
export const VOICED = 0.5;
/** A window of silero's VAD, in ms: 512 samples at 16 kHz. */
export const VOICED_WINDOW_MS = 32;

/** How much speech each utterance of a connection has; they are answered in their order. */
export class VoicedTime {
  #currentMs = 0;
  #ended: number[] = [];

  /** In ms: of the utterance that is answered next, or of the one that is being spoken. */
  get ofAnswered(): number {
    return this.#ended[0] ?? this.#currentMs;
  }

  add({ type, probability, speechDuration }: VADEvent): void {
    // What was taken for speech now and then before does not belong to the utterance.
    if (type === VADEventType.START_OF_SPEECH) this.#currentMs = speechDuration;
    if (type === VADEventType.INFERENCE_DONE && probability > VOICED) {
      this.#currentMs += VOICED_WINDOW_MS;
    }
  }

  endUtterance(): void {
    this.#ended.push(this.#currentMs);
    this.#currentMs = 0;
  }

  answerUtterance(): void {
    this.#ended.shift();
  }

  clear(): void {
    this.#currentMs = 0;
    this.#ended = [];
  }
}
