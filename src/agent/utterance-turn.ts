import { untilAborted } from "../lib/deadline.ts";
import { durationOf, type Frame, totalDuration } from "./audio-frames.ts";
import { MAX_TURN_MS, SILENCE_MS, silenceBeforeTurnEnds } from "./end-of-turn.ts";
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
  /**
   * What is longer is closed, whether or not speech goes on: its text is final, and only the audio
   * after it is sent again.
   */
  maxTurnMs: number;
}

const TIMING: TurnTiming = { prefixMs: 600, maxTurnMs: MAX_TURN_MS };

/** How far the VAD may lag behind without a word being lost, in ms. */
const MAX_LAG_MS = 3000;
/** How long the VAD takes to confirm suspected speech, in ms. */
const VAD_CONFIRM_MS = 64;
/** How long a suspicion may keep a finished turn open, in ms; noise may last for ever. */
const MAX_SUSPICION_MS = 1500;
/** Closed parts that may wait for a slow recogniser. */
const MAX_CLOSED = 8;

type Outcome = { text: string } | { error: unknown };

/** A request for the transcript of the turn so far, or of a part that is closed. */
interface Attempt<F> {
  frames: readonly F[];
  outcome: Promise<Outcome>;
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
 * recognised as one sentence. A turn that grows too long is closed in parts, so that a radio costs
 * neither memory nor long requests.
 */
export class UtteranceTurns<F extends Frame> implements Disposable {
  readonly #handlers: TurnHandlers<F>;
  readonly #timing: TurnTiming;
  #prefix: F[] = [];
  #prefixMs = 0;
  /** The audio of the current turn; undefined between turns. */
  #frames: F[] | undefined;
  #turnMs = 0;
  /** The newest moment without speech: how many frames, and how much speech, come before it. */
  #quiet = { frames: 0, voicedMs: 0 };
  #speaking = false;
  /** How much speech was detected in the current turn, in ms. */
  #voicedMs = 0;
  #attempt: Attempt<F> | undefined;
  /** Closed parts whose transcripts are awaited. */
  readonly #closed = new Set<Attempt<F>>();
  /** Resolves when they are reported. */
  #reported: Promise<void> = Promise.resolve();
  #endTimer: ReturnType<typeof setTimeout> | undefined;
  #isDisposed = false;

  constructor(handlers: TurnHandlers<F>, timing: TurnTiming = TIMING) {
    this.#handlers = handlers;
    this.#timing = timing;
  }

  /** Takes the next audio of the stream. */
  push(frame: F): void {
    if (this.#frames) {
      this.#frames.push(frame);
      this.#turnMs += durationOf(frame);
      if (this.#turnMs >= this.#timing.maxTurnMs) this.#closePart(this.#frames);
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
      this.#trimPrefix(this.#timing.prefixMs + lagMs);
      this.#beginTurn(this.#prefix, voicedMs);
    }
  }

  /** The VAD found speech in the next `ms` of audio. */
  voiced(ms: number): void {
    this.#voicedMs += ms;
  }

  /** The VAD found no speech `lagMs` before the newest audio, so the turn can be cut there. */
  unvoiced(lagMs: number): void {
    if (!this.#frames) return;
    let at = this.#frames.length;
    for (let left = lagMs; at > 0 && left > 0; at -= 1) {
      const frame = this.#frames[at - 1];
      left -= frame ? durationOf(frame) : 0;
    }
    this.#quiet = { frames: at, voicedMs: this.#voicedMs };
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
    this.#attempt = this.#request(this.#frames.slice(), this.#voicedMs);
    void this.#judge(this.#attempt, performance.now() - silenceMs);
  }

  #request(frames: F[], voicedMs: number): Attempt<F> {
    const abort = new AbortController();
    const transcript = untilAborted(abort.signal, this.#handlers.transcribe(frames, abort.signal));
    const outcome = transcript.then(
      (text) => ({ text: wordsIn(text, voicedMs) }),
      (error: unknown) => ({ error }),
    );
    return { frames, outcome, abort, paused: true };
  }

  /** Decides what becomes of the turn when the transcript of what it has so far is there. */
  async #judge(attempt: Attempt<F>, lastSpeechAt: number): Promise<void> {
    const outcome = await attempt.outcome;
    await this.#reported;
    // It may have been cancelled or closed.
    if (attempt !== this.#attempt) return;
    this.#attempt = undefined;
    if ("error" in outcome) {
      // If speech has continued, its next pause sends all of this audio again.
      if (!attempt.paused) return;
      this.#finishTurn([]);
      this.#handlers.onError(outcome.error);
    } else if (attempt.paused) {
      this.#awaitEnd(outcome.text, attempt.frames.length, lastSpeechAt);
    } else if (outcome.text !== "") {
      this.#handlers.onInterim(outcome.text);
    }
  }

  #awaitEnd(text: string, sent: number, lastSpeechAt: number): void {
    // Audio without text may be the beginning of a word, so it is kept for the speech that follows.
    const silence = text === "" ? SILENCE_MS.unfinished : this.#silenceAfter(text);
    const wait = lastSpeechAt + silence - performance.now();
    if (text !== "" && wait > 0) this.#handlers.onPreflight(text);
    this.#endTimer = setTimeout(() => this.#end(text, sent, 0), Math.max(0, wait));
  }

  #silenceAfter(text: string): number {
    return silenceBeforeTurnEnds(text, this.#handlers.language?.());
  }

  #end(text: string, sent: number, suspectedMs: number): void {
    const isSuspected = this.#handlers.mayBeSpeaking();
    if (isSuspected && suspectedMs < MAX_SUSPICION_MS) {
      const again = () => this.#end(text, sent, suspectedMs + VAD_CONFIRM_MS);
      this.#endTimer = setTimeout(again, VAD_CONFIRM_MS);
      return;
    }
    // If it is speech after all, its beginning must not be lost.
    this.#finishTurn(isSuspected ? (this.#frames ?? []).slice(sent) : []);
    if (text !== "") this.#handlers.onFinal(text);
  }

  /**
   * Closes what there is of a turn that has grown too long: up to the last moment without speech
   * while speech goes on, or what was sent already while a slow recogniser is awaited.
   */
  #closePart(frames: F[]): void {
    const waiting = this.#speaking ? undefined : this.#attempt;
    if (!this.#speaking && !waiting) return;
    if (waiting) {
      this.#attempt = undefined;
      this.#report(waiting);
      this.#finishTurn(frames.slice(waiting.frames.length));
      return;
    }
    this.#attempt?.abort.abort();
    this.#attempt = undefined;
    const here = { frames: frames.length, voicedMs: this.#voicedMs };
    const cut = this.#quiet.frames > frames.length / 2 ? this.#quiet : here;
    this.#report(this.#request(frames.slice(0, cut.frames), cut.voicedMs));
    this.#beginTurn(frames.slice(cut.frames), this.#voicedMs - cut.voicedMs);
  }

  /** Reports a closed part as final, after those before it. */
  #report(part: Attempt<F>): void {
    const [oldest] = this.#closed;
    if (oldest && this.#closed.size === MAX_CLOSED) {
      this.#closed.delete(oldest);
      oldest.abort.abort(new Error("timed out"));
    }
    this.#closed.add(part);
    this.#reported = this.#reported.then(async () => {
      const outcome = await part.outcome;
      this.#closed.delete(part);
      if (this.#isDisposed) return;
      if ("error" in outcome) this.#handlers.onError(outcome.error);
      else if (outcome.text !== "") this.#handlers.onFinal(outcome.text);
    });
  }

  #beginTurn(frames: F[], voicedMs: number): void {
    this.#frames = frames;
    this.#turnMs = totalDuration(frames);
    this.#voicedMs = voicedMs;
    this.#quiet = { frames: 0, voicedMs: 0 };
    this.#keepPrefix([]);
  }

  /** @param prefix audio that the next turn may begin with */
  #finishTurn(prefix: F[]): void {
    this.#frames = undefined;
    this.#keepPrefix(prefix);
  }

  /** Stops timers and requests; nothing is reported afterwards. */
  [Symbol.dispose](): void {
    this.#isDisposed = true;
    clearTimeout(this.#endTimer);
    this.#attempt?.abort.abort();
    this.#attempt = undefined;
    for (const part of this.#closed) part.abort.abort();
    this.#finishTurn([]);
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

  #keepPrefix(frames: F[]): void {
    this.#prefix = frames;
    this.#prefixMs = totalDuration(frames);
  }
}
