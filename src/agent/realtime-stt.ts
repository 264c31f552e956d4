import { setTimeout as delay } from "node:timers/promises";
import { type AudioBuffer, stt } from "@livekit/agents";
import type { STT as OpenAiStt } from "@livekit/agents-plugin-openai";
import type { AudioFrame } from "@livekit/rtc-node";
import { inOwnWords } from "../providers/provider-errors.ts";
import { silenceBeforeTurnEnds, VAD_SILENCE_MS } from "./end-of-turn.ts";
import { MAX_FAILURES } from "./failed-turns.ts";
import { type SttError, sttError } from "./utterance-stt.ts";
import { durationOf } from "./utterance-turn.ts";

/** Audio that is sent again after a broken connection, in ms. */
const KEPT_AUDIO_MS = 30_000;
/** How long the server may take to open, and from the end of speech to the transcript, in ms. */
const ANSWER_MS = 8000;
/** Wait before the first reconnection, in ms; it doubles with each failure in a row. */
const BACKOFF_MS = 300;

/** Tells that a connection is open: the plugin does not. */
export interface ConnectionSign {
  onOpen: () => void;
}

/**
 * Speech-to-text over OpenAI's realtime transcription WebSocket. The plugin's stream ends the
 * session at its first error; this one reconnects, sends the unanswered audio again, once, and
 * gives up only after several failures in a row.
 */
export class RealtimeStt extends stt.STT {
  label = "parley.RealtimeStt";
  readonly recognizer: OpenAiStt;
  readonly connection: ConnectionSign;
  readonly #streams = new Set<ReconnectingStream>();

  constructor(recognizer: OpenAiStt, connection: ConnectionSign) {
    super({ streaming: true, interimResults: true, alignedTranscript: false });
    this.recognizer = recognizer;
    this.connection = connection;
    // The plugin reports what the stream below handles; without a listener it would throw.
    recognizer.on("error", ignore);
  }

  override get model(): string {
    return this.recognizer.model;
  }

  protected override _recognize(
    audio: AudioBuffer,
    signal?: AbortSignal,
  ): Promise<stt.SpeechEvent> {
    return this.recognizer.recognize(audio, signal);
  }

  override stream(): stt.SpeechStream {
    const stream = new ReconnectingStream(this, () => this.#streams.delete(stream));
    this.#streams.add(stream);
    return stream;
  }

  override async close(): Promise<void> {
    for (const stream of this.#streams) stream.close();
    await this.recognizer.close();
    this.recognizer.off("error", ignore);
  }
}

function ignore(): void {}

/** Why a connection ended, and whether something that was said is lost with it. */
interface Failure {
  error: Error;
  duringTurn: boolean;
}

class ReconnectingStream extends stt.SpeechStream {
  label = "parley.ReconnectingStream";
  readonly #owner: RealtimeStt;
  readonly #onClose: () => void;
  #unanswered: AudioFrame[] = [];
  #connection: stt.SpeechStream | undefined;
  #failures = 0;
  /** Whether the audio of the turn at hand was sent a second time. */
  #sentAgain = false;
  #timedOut = false;
  #open = false;
  #openTimer: ReturnType<typeof setTimeout> | undefined;
  #answerTimer: ReturnType<typeof setTimeout> | undefined;
  /** The last frame of each utterance that ended and was not answered yet, oldest first. */
  #awaited: (AudioFrame | undefined)[] = [];
  #speaking = false;
  #lastSpeech = 0;
  /** All that was said in a turn that may still go on: held until silence says that it is over. */
  #held: stt.SpeechEvent | undefined;
  #endTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(owner: RealtimeStt, onClose: () => void) {
    super(owner, 24_000);
    this.#owner = owner;
    this.#onClose = onClose;
  }

  protected async run(): Promise<void> {
    const input = this.#forwardInput();
    try {
      while (!this.abortSignal.aborted) {
        const failure = await this.#connectOnce();
        if (this.abortSignal.aborted || this.input.closed) break;
        await this.#recover(failure);
      }
      await input;
    } finally {
      clearTimeout(this.#answerTimer);
      this.#release();
      this.#connection?.close();
      this.#onClose();
    }
  }

  /** Runs one connection to its end; answers why it ended. */
  async #connectOnce(): Promise<Failure> {
    this.#timedOut = false;
    let error = new Error("the connection closed");
    const remember = (event: SttError) => {
      error = event.error;
    };
    this.#owner.recognizer.on("error", remember);
    const connection = this.#owner.recognizer.stream({
      connOptions: { maxRetry: 0, retryIntervalMs: 0, timeoutMs: ANSWER_MS },
    });
    this.#connection = connection;
    const abort = () => connection.close();
    this.abortSignal.addEventListener("abort", abort, { once: true });
    this.#owner.connection.onOpen = () => {
      this.#open = true;
      clearTimeout(this.#openTimer);
    };
    for (const frame of this.#unanswered) this.#push(connection, frame);
    try {
      for await (const event of connection) this.#pass(event, connection);
      const cause = this.#timedOut ? new Error("timed out") : error;
      const duringTurn = this.#speaking || this.#awaited.length > 0;
      return { error: inOwnWords("speech recognition", cause), duringTurn };
    } finally {
      this.#connection = undefined;
      this.#open = false;
      clearTimeout(this.#openTimer);
      this.#openTimer = undefined;
      this.#speaking = false;
      this.#awaited = [];
      this.#release();
      clearTimeout(this.#answerTimer);
      this.abortSignal.removeEventListener("abort", abort);
      this.#owner.recognizer.off("error", remember);
      connection.close();
    }
  }

  #push(connection: stt.SpeechStream, frame: AudioFrame): void {
    if (!this.#open) this.#openTimer ??= this.#patience(connection);
    connection.pushFrame(frame);
  }

  /** Gives the connection up after a while. */
  #patience(connection: stt.SpeechStream): ReturnType<typeof setTimeout> {
    return setTimeout(() => {
      this.#timedOut = true;
      connection.close();
    }, ANSWER_MS);
  }

  #pass(event: stt.SpeechEvent, connection: stt.SpeechStream): void {
    switch (event.type) {
      case stt.SpeechEventType.INTERIM_TRANSCRIPT:
        this.#put(this.#withHeld(event));
        return;
      case stt.SpeechEventType.FINAL_TRANSCRIPT:
        this.#hold(event);
        return;
      case stt.SpeechEventType.START_OF_SPEECH:
        this.#speaking = true;
        clearTimeout(this.#endTimer);
        break;
      case stt.SpeechEventType.END_OF_SPEECH:
        this.#speaking = false;
        this.#awaited.push(this.#unanswered.at(-1));
        this.#lastSpeech = Date.now() - VAD_SILENCE_MS;
        clearTimeout(this.#answerTimer);
        this.#answerTimer = this.#patience(connection);
        break;
      case stt.SpeechEventType.RECOGNITION_USAGE:
        this.#answered();
    }
    this.#put(event);
  }

  /** Shows the text of the whole turn so far, so that the answer can be prepared. */
  #hold(event: stt.SpeechEvent): void {
    this.#held = this.#withHeld(event);
    const { PREFLIGHT_TRANSCRIPT, INTERIM_TRANSCRIPT } = stt.SpeechEventType;
    this.#put({ ...this.#held, type: this.#speaking ? INTERIM_TRANSCRIPT : PREFLIGHT_TRANSCRIPT });
  }

  #withHeld(event: stt.SpeechEvent): stt.SpeechEvent {
    const alternatives = event.alternatives?.map((one) => ({
      ...one,
      text: [textOf(this.#held), one.text].filter(Boolean).join(" "),
    }));
    return { ...event, alternatives: alternatives as typeof event.alternatives };
  }

  /** An utterance was answered, with words or without: the turn ends unless silence ends first. */
  #answered(): void {
    const last = this.#awaited.shift();
    this.#unanswered = this.#unanswered.slice(last ? this.#unanswered.indexOf(last) + 1 : 0);
    this.#failures = 0;
    this.#sentAgain = false;
    if (this.#awaited.length > 0) return;
    clearTimeout(this.#answerTimer);
    if (this.#speaking || !this.#held) return;
    const wait = this.#lastSpeech + silenceBeforeTurnEnds(textOf(this.#held)) - Date.now();
    this.#endTimer = setTimeout(() => this.#release(), Math.max(0, wait));
  }

  #release(): void {
    clearTimeout(this.#endTimer);
    const held = this.#held;
    this.#held = undefined;
    if (held) this.#put(held);
  }

  #put(event: stt.SpeechEvent): void {
    if (!this.queue.closed) this.queue.put(event);
  }

  async #recover({ error, duringTurn }: Failure): Promise<void> {
    this.#failures += 1;
    if (this.#failures > MAX_FAILURES) throw error;
    const again = duringTurn && this.#sentAgain;
    if (again) this.#unanswered = [];
    else if (duringTurn || this.#failures === 1) {
      this.#owner.emit("error", sttError(this.#owner.label, error));
    }
    this.#sentAgain = again ? false : this.#sentAgain || duringTurn;
    const wait = BACKOFF_MS * 2 ** (this.#failures - 1);
    // Aborted, there is nothing left to wait for; the loop sees it.
    await delay(wait, undefined, { signal: this.abortSignal }).catch(() => {});
  }

  async #forwardInput(): Promise<void> {
    for await (const frame of this.input) {
      if (typeof frame === "symbol") continue;
      this.#unanswered.push(frame);
      if (this.#unanswered.length % 50 === 0) {
        this.#unanswered = newest(this.#unanswered, KEPT_AUDIO_MS);
      }
      try {
        if (this.#connection) this.#push(this.#connection, frame);
      } catch {
        // The connection ended a moment ago; the frame is kept and sent on the next one.
      }
    }
    this.#connection?.close();
  }

  override close(): void {
    super.close();
    this.#onClose();
  }
}

function textOf(event: stt.SpeechEvent | undefined): string {
  return event?.alternatives?.[0]?.text ?? "";
}

/** The newest frames that together last `ms`. */
function newest(frames: AudioFrame[], ms: number): AudioFrame[] {
  let kept = 0;
  let at = frames.length;
  while (at > 0 && kept < ms) {
    at -= 1;
    const frame = frames[at];
    if (frame) kept += durationOf(frame);
  }
  return frames.slice(at);
}
