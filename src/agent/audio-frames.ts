/** A piece of audio; the agents library's `AudioFrame` fits. */
export interface Frame {
  samplesPerChannel: number;
  sampleRate: number;
}

/** In ms. */
export function durationOf(frame: Frame): number {
  return (frame.samplesPerChannel / frame.sampleRate) * 1000;
}

/** In ms. */
export function totalDuration(frames: readonly Frame[]): number {
  return frames.reduce((ms, frame) => ms + durationOf(frame), 0);
}

/** The newest frames that together last `ms`. */
function newestFrames<F extends Frame>(frames: F[], ms: number): F[] {
  let kept = 0;
  let start = frames.length;
  while (start > 0 && kept < ms) {
    start -= 1;
    const frame = frames[start];
    if (frame) kept += durationOf(frame);
  }
  return frames.slice(start);
}

/** Frames between two checks of `UnansweredAudio`'s limit. */
const TRIM_EVERY = 50;

/**
 * The audio that a recogniser has not answered yet, kept so that it can be sent again on another
 * connection. Utterances are answered in the order in which they ended.
 */
export class UnansweredAudio<F extends Frame> {
  readonly #maxMs: number;
  #frames: F[] = [];
  /** The last frame of each utterance that waits for its answer, oldest first. */
  #utteranceEnds: (F | undefined)[] = [];

  /** @param maxMs older audio is dropped */
  constructor(maxMs: number) {
    this.#maxMs = maxMs;
  }

  get frames(): readonly F[] {
    return this.#frames;
  }

  get awaitsAnswer(): boolean {
    return this.#utteranceEnds.length > 0;
  }

  push(frame: F): void {
    this.#frames.push(frame);
    if (this.#frames.length % TRIM_EVERY === 0) {
      this.#frames = newestFrames(this.#frames, this.#maxMs);
    }
  }

  /** An utterance ended with the newest frame. */
  endUtterance(): void {
    this.#utteranceEnds.push(this.#frames.at(-1));
  }

  /** Drops the audio of the oldest utterance that waits for its answer. */
  answerUtterance(): void {
    const end = this.#utteranceEnds.shift();
    this.#frames = this.#frames.slice(end ? this.#frames.indexOf(end) + 1 : 0);
  }

  /** The connection is gone, so no utterance will be answered any more. The audio stays. */
  connectionLost(): void {
    this.#utteranceEnds = [];
  }

  clear(): void {
    this.#frames = [];
  }
}
