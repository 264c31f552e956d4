import { durationOf, type Frame } from "./audio-frames.ts";
import { MAX_TURN_MS } from "./end-of-turn.ts";

/** Silence that is kept before speech, in ms: the VAD notices the first word late. */
const KEPT_SILENCE_MS = 2000;

/** Where audio is sent. */
export interface AudioSink<F> {
  append(frame: F): void;
  commit(): void;
}

/** What is spoken between two pauses. */
interface Utterance<F> {
  frames: F[];
  audioMs: number;
  /** How much of it is speech, in ms. */
  voicedMs: number;
  /** When it ended, in ms of `performance.now()`. */
  endedAt: number | undefined;
  /** What of it the present connection has. */
  sent: number;
  committed: boolean;
}

/**
 * The audio that a recogniser has not answered yet, by utterances, which are answered in the order
 * in which they ended. All of it can be sent again on another connection.
 */
export class UnansweredAudio<F extends Frame> {
  /** Oldest first. The last one has not ended. */
  #utterances: Utterance<F>[] = [emptyUtterance()];
  #isSpeaking = false;

  get #current(): Utterance<F> {
    const current = this.#utterances.at(-1);
    if (!current) throw new Error("there is always an utterance that has not ended");
    return current;
  }

  /** The utterance that is answered next, or the one that is being spoken. */
  get oldest(): Readonly<Pick<Utterance<F>, "audioMs" | "voicedMs">> {
    return this.#utterances[0] ?? this.#current;
  }

  get isSpeaking(): boolean {
    return this.#isSpeaking;
  }

  /** Whether an utterance has ended and waits for its answer. */
  get awaitsAnswer(): boolean {
    return this.#utterances.length > 1;
  }

  /** How long the oldest utterance has waited for its answer, in ms; 0 if none waits. */
  get waitsMs(): number {
    const { endedAt } = this.#utterances[0] ?? {};
    return endedAt === undefined ? 0 : performance.now() - endedAt;
  }

  /** Everything that is kept; silence alone if nobody has spoken. */
  get frames(): F[] {
    return this.#utterances.flatMap(({ frames }) => frames);
  }

  push(frame: F): void {
    const utterance = this.#current;
    utterance.frames.push(frame);
    utterance.audioMs += durationOf(frame);
    if (!this.#isSpeaking) trimSilence(utterance);
    else if (utterance.audioMs >= MAX_TURN_MS) this.#end();
  }

  /** @param voicedMs how much speech there was before it was certain */
  startUtterance(voicedMs: number): void {
    this.#isSpeaking = true;
    // What was taken for speech now and then before does not belong to the utterance.
    this.#current.voicedMs = voicedMs;
  }

  /** The next `ms` of audio are speech. */
  voiced(ms: number): void {
    this.#current.voicedMs += ms;
  }

  /** The utterance ended with the newest frame. */
  endUtterance(): void {
    this.#isSpeaking = false;
    this.#end();
  }

  /** Sends what the present connection does not have yet. */
  send(sink: AudioSink<F>): void {
    for (const utterance of this.#utterances) {
      while (utterance.sent < utterance.frames.length) {
        const frame = utterance.frames[utterance.sent];
        utterance.sent += 1;
        if (frame) sink.append(frame);
      }
      if (utterance.endedAt === undefined || utterance.committed) continue;
      utterance.committed = true;
      sink.commit();
    }
  }

  /** Drops the oldest utterance that waits for its answer, which has come. */
  answerUtterance(): void {
    if (this.awaitsAnswer) this.#utterances.shift();
  }

  /** The connection is gone; the next one has nothing of the audio. */
  connectionLost(): void {
    for (const utterance of this.#utterances) {
      utterance.sent = 0;
      utterance.committed = false;
    }
  }

  /** Drops what has waited longer than `ms`; answers whether there was anything. */
  dropOlderThan(ms: number): boolean {
    const now = performance.now();
    const before = this.#utterances.length;
    this.#utterances = this.#utterances.filter(
      ({ endedAt }) => endedAt === undefined || now - endedAt < ms,
    );
    return this.#utterances.length < before;
  }

  #end(): void {
    this.#current.endedAt = performance.now();
    this.#utterances.push(emptyUtterance());
  }
}

function emptyUtterance<F>(): Utterance<F> {
  const counts = { audioMs: 0, voicedMs: 0, sent: 0 };
  return { frames: [], ...counts, endedAt: undefined, committed: false };
}

function trimSilence<F extends Frame>(utterance: Utterance<F>): void {
  for (;;) {
    const [oldest] = utterance.frames;
    if (!oldest || utterance.audioMs - durationOf(oldest) < KEPT_SILENCE_MS) return;
    utterance.frames.shift();
    utterance.audioMs -= durationOf(oldest);
    utterance.sent = Math.max(0, utterance.sent - 1);
  }
}
