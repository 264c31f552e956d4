import { SILENCE_MS, silenceBeforeTurnEnds } from "./end-of-turn.ts";

/** A piece of audio; the agents library's `AudioFrame` fits. */
export interface Frame {
  samplesPerChannel: number;
  sampleRate: number;
}

export interface TurnHandlers<F extends Frame> {
  /** Transcribes the frames; resolves with the text, empty for what is not speech. */
  transcribe(frames: F[], signal: AbortSignal): Promise<string>;
  /** The speaker went on: what was said so far, to be shown. */
  onInterim(text: string): void;
  /** The speaker paused: what was said so far, worth preparing an answer for. */
  onPreflight(text: string): void;
  /** The turn is over. */
  onFinal(text: string): void;
  onError(error: unknown): void;
  /** Whether the VAD begins to hear speech again, before it is sure of it. */
  mayBeSpeaking(): boolean;
}

export interface TurnTiming {
  /** Audio kept from before the VAD noticed speech. */
  prefixMs: number;
  /** A turn longer than this is closed at its next pause, so that audio is not sent for ever. */
  maxTurnMs: number;
}

const TIMING: TurnTiming = { prefixMs: 600, maxTurnMs: 20_000 };

/** How far behind the VAD may be without a word being lost, in ms. */
const MAX_LAG_MS = 3000;
/** How long the VAD takes from its first doubt to being sure that speech goes on, in ms. */
const DOUBT_MS = 64;

/**
 * One person's audio, cut into turns for a server that transcribes a request at a time.
 *
 * At each pause the whole turn so far is transcribed at once, while nobody knows yet whether the
 * turn is over. If silence lasts, that text is final the moment the turn ends; if speech goes on,
 * it is shown as an interim and the next pause transcribes the longer turn anew. So the request
 * runs inside the wait that endpointing needs anyway, and a sentence with a pause in it is
 * recognised as one sentence.
 */
export class UtteranceTurns<F extends Frame> implements Disposable {
  readonly #handlers: TurnHandlers<F>;
  readonly #timing: TurnTiming;
  #prefix: F[] = [];
  #prefixMs = 0;
  #frames: F[] | undefined;
  #speaking = false;
  #attempt: { abort: AbortController; paused: boolean } | undefined;
  #endTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(handlers: TurnHandlers<F>, timing: TurnTiming = TIMING) {
    this.#handlers = handlers;
    this.#timing = timing;
  }

  /** Takes the next audio of the stream. */
  push(frame: F): void {
    if (this.#frames) {
      this.#frames.push(frame);
      return;
    }
    this.#prefix.push(frame);
    this.#prefixMs += durationOf(frame);
    this.#trimPrefix(this.#timing.prefixMs + MAX_LAG_MS);
  }

  /**
   * The VAD heard speech begin, or go on after a pause.
   * @param lagMs how far the VAD is behind what was pushed: on a busy machine the first word would
   *   be lost without it
   */
  speechStarted(lagMs = 0): void {
    this.#speaking = true;
    clearTimeout(this.#endTimer);
    if (this.#attempt) this.#attempt.paused = false;
    if (!this.#frames) {
      this.#trimPrefix(this.#timing.prefixMs + lagMs);
      this.#frames = this.#prefix;
      this.#dropPrefix();
    }
  }

  /**
   * The VAD heard speech stop.
   * @param silenceMs how long it has been silent already
   */
  speechPaused(silenceMs: number): void {
    if (!this.#frames) return;
    this.#speaking = false;
    clearTimeout(this.#endTimer);
    this.#attempt?.abort.abort();
    const attempt = { abort: new AbortController(), paused: true };
    this.#attempt = attempt;
    const lastSpeech = Date.now() - silenceMs;
    void this.#transcribe(this.#frames.slice(), attempt, lastSpeech);
  }

  async #transcribe(
    frames: F[],
    attempt: { abort: AbortController; paused: boolean },
    lastSpeech: number,
  ): Promise<void> {
    let text: string;
    try {
      text = (await this.#handlers.transcribe(frames, attempt.abort.signal)).trim();
    } catch (error) {
      if (attempt.abort.signal.aborted) return;
      this.#attempt = undefined;
      // If speech went on meanwhile, its next pause sends all of this audio again.
      if (!attempt.paused) return;
      this.#forget();
      this.#handlers.onError(error);
      return;
    }
    if (attempt.abort.signal.aborted) return;
    this.#attempt = undefined;
    if (!attempt.paused) {
      if (text !== "") this.#handlers.onInterim(text);
      return;
    }
    this.#awaitEnd(text, frames, lastSpeech);
  }

  #awaitEnd(text: string, frames: F[], lastSpeech: number): void {
    const tooLong = duration(frames) > this.#timing.maxTurnMs;
    // Sound without words may be the beginning of some: it is kept for what follows.
    const silence = text === "" ? SILENCE_MS.unfinished : silenceBeforeTurnEnds(text);
    const wait = tooLong ? 0 : lastSpeech + silence - Date.now();
    if (text !== "" && wait > 0) this.#handlers.onPreflight(text);
    this.#endTimer = setTimeout(() => this.#end(text), Math.max(0, wait));
  }

  #end(text: string): void {
    if (this.#handlers.mayBeSpeaking()) {
      this.#endTimer = setTimeout(() => this.#end(text), DOUBT_MS);
      return;
    }
    this.#forget();
    if (text !== "") this.#handlers.onFinal(text);
  }

  #forget(): void {
    const frames = this.#frames ?? [];
    this.#frames = undefined;
    this.#dropPrefix();
    if (this.#speaking) this.#frames = frames;
  }

  /** Stops timers and requests; nothing is reported afterwards. */
  [Symbol.dispose](): void {
    clearTimeout(this.#endTimer);
    this.#attempt?.abort.abort();
    this.#attempt = undefined;
    this.#frames = undefined;
    this.#dropPrefix();
  }

  #trimPrefix(keepMs: number): void {
    for (;;) {
      const [oldest] = this.#prefix;
      if (!oldest || this.#prefix.length === 1) return;
      if (this.#prefixMs - durationOf(oldest) < keepMs) return;
      this.#prefixMs -= durationOf(oldest);
      this.#prefix.shift();
    }
  }

  #dropPrefix(): void {
    this.#prefix = [];
    this.#prefixMs = 0;
  }
}

function duration(frames: Frame[]): number {
  return frames.reduce((ms, frame) => ms + durationOf(frame), 0);
}

/** In ms. */
export function durationOf(frame: Frame): number {
  return (frame.samplesPerChannel / frame.sampleRate) * 1000;
}
