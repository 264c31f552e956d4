import { durationOf, type Frame, totalDuration } from "./audio-frames.ts";
import { SILENCE_MS, silenceBeforeTurnEnds } from "./end-of-turn.ts";
import { wordsIn } from "./sound-notes.ts";

export interface TurnHandlers<F extends Frame> {
  /** Transcribes the frames; resolves with the text, empty if they contain no speech. */
  transcribe(frames: F[], signal: AbortSignal): Promise<string>;
  /** The language that is spoken (ISO 639-1), as far as it is known. */
  language?(): string | undefined;
  /** The text so far of a turn that continued after a pause. */
  onInterim(text: string): void;
  /** The text so far of a turn that may be over, so that the answer can be prepared. */
  onPreflight(text: string): void;
  /** The text of a turn that is over. */
  onFinal(text: string): void;
  onError(error: unknown): void;
  /** Whether the VAD suspects speech again, without having confirmed it. */
  mayBeSpeaking(): boolean;
}

export interface TurnTiming {
  /** Audio included from before the VAD noticed speech. */
  prefixMs: number;
  /** A longer turn ends at its next pause, so that its audio is not sent again and again. */
  maxTurnMs: number;
}

const TIMING: TurnTiming = { prefixMs: 600, maxTurnMs: 20_000 };

/** How far the VAD may lag behind without a word being lost, in ms. */
const MAX_LAG_MS = 3000;
/** How long the VAD takes to confirm suspected speech, in ms. */
const VAD_CONFIRM_MS = 64;

/** A request for the transcript of the turn so far. */
interface Attempt {
  abort: AbortController;
  /** Whether the pause that caused it still lasts. */
  paused: boolean;
}

/**
 * Cuts one person's audio into turns, for a server that transcribes one request at a time.
 *
 * At each pause the whole turn so far is transcribed immediately, before it is known whether the
 * turn is over. If the silence lasts, that text is final the moment the turn ends. If speech
 * continues, it becomes an interim and the next pause transcribes the longer turn again. So the
 * request runs during the wait that endpointing needs anyway, and a sentence with a pause in it is
 * recognised as one sentence.
 */
export class UtteranceTurns<F extends Frame> implements Disposable {
  readonly #handlers: TurnHandlers<F>;
  readonly #timing: TurnTiming;
  #prefix: F[] = [];
  #prefixMs = 0;
  /** The audio of the current turn; undefined between turns. */
  #frames: F[] | undefined;
  #speaking = false;
  /** How much speech was detected in the current turn, in ms. */
  #voicedMs = 0;
  #attempt: Attempt | undefined;
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
   * The VAD detected that speech began, or continued after a pause.
   * @param lagMs how far the VAD lags behind the pushed audio; on a busy machine the first word
   *   would be lost without it
   * @param voicedMs how much speech there was before it was certain
   */
  speechStarted(lagMs = 0, voicedMs = 0): void {
    this.#speaking = true;
    clearTimeout(this.#endTimer);
    if (this.#attempt) this.#attempt.paused = false;
    if (!this.#frames) {
      this.#voicedMs = voicedMs;
      this.#trimPrefix(this.#timing.prefixMs + lagMs);
      this.#frames = this.#prefix;
      this.#dropPrefix();
    }
  }

  /** The VAD found speech in the next `ms` of audio. */
  voiced(ms: number): void {
    this.#voicedMs += ms;
  }

  /**
   * The VAD detected that speech stopped.
   * @param silenceMs how long the silence has lasted already
   */
  speechPaused(silenceMs: number): void {
    if (!this.#frames) return;
    this.#speaking = false;
    clearTimeout(this.#endTimer);
    this.#attempt?.abort.abort();
    const attempt: Attempt = { abort: new AbortController(), paused: true };
    this.#attempt = attempt;
    const lastSpeechAt = Date.now() - silenceMs;
    void this.#transcribe(this.#frames.slice(), attempt, lastSpeechAt);
  }

  async #transcribe(frames: F[], attempt: Attempt, lastSpeechAt: number): Promise<void> {
    const voicedMs = this.#voicedMs;
    let text: string;
    try {
      text = wordsIn(await this.#handlers.transcribe(frames, attempt.abort.signal), voicedMs);
    } catch (error) {
      if (attempt.abort.signal.aborted) return;
      this.#attempt = undefined;
      // If speech has continued, its next pause sends all of this audio again.
      if (!attempt.paused) return;
      this.#finishTurn();
      this.#handlers.onError(error);
      return;
    }
    if (attempt.abort.signal.aborted) return;
    this.#attempt = undefined;
    if (!attempt.paused) {
      if (text !== "") this.#handlers.onInterim(text);
      return;
    }
    this.#awaitEnd(text, frames, lastSpeechAt);
  }

  #awaitEnd(text: string, frames: F[], lastSpeechAt: number): void {
    const isTooLong = totalDuration(frames) > this.#timing.maxTurnMs;
    // Audio without text may be the beginning of a word, so it is kept for the speech that follows.
    const silence = text === "" ? SILENCE_MS.unfinished : this.#silenceAfter(text);
    const wait = isTooLong ? 0 : lastSpeechAt + silence - Date.now();
    if (text !== "" && wait > 0) this.#handlers.onPreflight(text);
    this.#endTimer = setTimeout(() => this.#end(text), Math.max(0, wait));
  }

  #silenceAfter(text: string): number {
    return silenceBeforeTurnEnds(text, this.#handlers.language?.());
  }

  #end(text: string): void {
    if (this.#handlers.mayBeSpeaking()) {
      this.#endTimer = setTimeout(() => this.#end(text), VAD_CONFIRM_MS);
      return;
    }
    this.#finishTurn();
    if (text !== "") this.#handlers.onFinal(text);
  }

  /** Drops the audio of the turn, or begins the next turn with it if the person speaks. */
  #finishTurn(): void {
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
