import { decibels, rmsOf } from "../audio/listen.ts";

/** A change between silence and speech; ms of audio since the detector began. */
export interface SpeechChange {
  kind: "started" | "stopped";
  atMs: number;
}

const FRAME_MS = 20;
const SPEECH_DB = -45;
/** Sound that lasts less is a click. */
const ONSET_MS = 60;

/** Voice activity by loudness alone: enough for recordings whose noise floor is known. */
export class EnergyVad {
  readonly #frame: number;
  readonly #silenceMs: number;
  #pending = new Int16Array();
  #nowMs = 0;
  #loudMs = 0;
  #quietMs = 0;
  #speaking = false;

  /**
   * @param rate sample rate in Hz of the audio
   * @param silenceMs silence after which speech has stopped
   */
  constructor(rate: number, silenceMs: number) {
    this.#frame = (rate * FRAME_MS) / 1000;
    this.#silenceMs = silenceMs;
  }

  /** @returns the changes in these samples, in order */
  push(pcm: Int16Array): SpeechChange[] {
    const all = new Int16Array(this.#pending.length + pcm.length);
    all.set(this.#pending);
    all.set(pcm, this.#pending.length);
    const changes: SpeechChange[] = [];
    let at = 0;
    for (; at + this.#frame <= all.length; at += this.#frame) {
      const change = this.#step(decibels(rmsOf(all.subarray(at, at + this.#frame))) >= SPEECH_DB);
      if (change !== undefined) changes.push(change);
    }
    this.#pending = all.slice(at);
    return changes;
  }

  #step(loud: boolean): SpeechChange | undefined {
    this.#nowMs += FRAME_MS;
    this.#loudMs = loud ? this.#loudMs + FRAME_MS : 0;
    this.#quietMs = loud ? 0 : this.#quietMs + FRAME_MS;
    if (!this.#speaking && this.#loudMs >= ONSET_MS) {
      this.#speaking = true;
      return { kind: "started", atMs: this.#nowMs - this.#loudMs };
    }
    if (this.#speaking && this.#quietMs >= this.#silenceMs) {
      this.#speaking = false;
      return { kind: "stopped", atMs: this.#nowMs };
    }
    return undefined;
  }
}
