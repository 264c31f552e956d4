import { setTimeout as delay } from "node:timers/promises";
import { stt } from "@livekit/agents";
import type { STT as OpenAiStt } from "@livekit/agents-plugin-openai";
import type { AudioFrame } from "@livekit/rtc-node";
import { redactProviderError } from "../providers/provider-errors.ts";
import { UnansweredAudio } from "./audio-frames.ts";
import { silenceBeforeTurnEnds, VAD_SILENCE_MS } from "./end-of-turn.ts";
import { MAX_FAILURES } from "./failed-turns.ts";
import { type SttError, SttWrapper } from "./stt-wrapper.ts";

/** Audio that is kept to be sent again after a broken connection, in ms. */
const MAX_UNANSWERED_MS = 30_000;
/** How long the server may take to open, and from the end of speech to the transcript, in ms. */
const ANSWER_TIMEOUT_MS = 8000;
/** Wait before the first reconnection, in ms; it doubles with each failure in a row. */
const BACKOFF_MS = 300;

/** Reports when a connection opens, since the plugin does not. */
export interface ConnectionEvents {
  /** Called with each frame that an open connection takes. */
  onOpen: () => void;
}

/**
 * Speech-to-text over OpenAI's realtime transcription WebSocket. The plugin's stream ends the
 * session at its first error. This one reconnects, sends the unanswered audio once more, and gives
 * up only after several failures in a row.
 */
export class RealtimeStt extends SttWrapper {
  label = "parley.RealtimeStt";
  readonly connectionEvents: ConnectionEvents;

  constructor(recognizer: OpenAiStt, connectionEvents: ConnectionEvents) {
    super(recognizer);
    this.connectionEvents = connectionEvents;
    // The plugin emits errors that the stream below handles. Without a listener it would throw.
    recognizer.on("error", ignore);
  }

  protected override createStream(onClose: () => void): stt.SpeechStream {
    return new ReconnectingStream(this, onClose);
  }

  override async close(): Promise<void> {
    await super.close();
    this.recognizer.off("error", ignore);
  }
}

function ignore(): void {}

/** Why a connection ended, and whether a turn was lost with it. */
interface ConnectionFailure {
  error: Error;
  duringTurn: boolean;
}

class ReconnectingStream extends stt.SpeechStream {
  label = "parley.ReconnectingStream";
  readonly #owner: RealtimeStt;
  readonly #onClose: () => void;
  readonly #unanswered = new UnansweredAudio<AudioFrame>(MAX_UNANSWERED_MS);
  #connection: stt.SpeechStream | undefined;
  #isOpen = false;
  #timedOut = false;
  #openTimer: ReturnType<typeof setTimeout> | undefined;
  #answerTimer: ReturnType<typeof setTimeout> | undefined;
  /** Failed connections in a row. */
  #failures = 0;
  /** Whether the audio of the current turn was sent a second time. */
  #sentAgain = false;
  #speaking = false;
  /** When speech last ended, ms since the epoch. */
  #lastSpeechAt = 0;
  /** The transcript of a turn that may still continue, held back until the silence has lasted. */
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
      this.#releaseHeld();
      this.#connection?.close();
      this.#onClose();
    }
  }

  /** Runs one connection until it ends; resolves with the reason. */
  async #connectOnce(): Promise<ConnectionFailure> {
    this.#timedOut = false;
    let error = new Error("the connection closed");
    const onError = (event: SttError) => {
      error = event.error;
    };
    this.#owner.recognizer.on("error", onError);
    const connection = this.#owner.recognizer.stream({
      connOptions: { maxRetry: 0, retryIntervalMs: 0, timeoutMs: ANSWER_TIMEOUT_MS },
    });
    this.#connection = connection;
    const abort = () => connection.close();
    this.abortSignal.addEventListener("abort", abort, { once: true });
    this.#owner.connectionEvents.onOpen = () => {
      this.#isOpen = true;
      clearTimeout(this.#openTimer);
    };
    for (const frame of this.#unanswered.frames) this.#push(connection, frame);
    try {
      for await (const event of connection) this.#handle(event, connection);
      const cause = this.#timedOut ? new Error("timed out") : error;
      const duringTurn = this.#speaking || this.#unanswered.awaitsAnswer;
      return { error: redactProviderError("stt", cause), duringTurn };
    } finally {
      this.#resetConnection();
      this.abortSignal.removeEventListener("abort", abort);
      this.#owner.recognizer.off("error", onError);
      connection.close();
    }
  }

  #resetConnection(): void {
    this.#connection = undefined;
    this.#isOpen = false;
    clearTimeout(this.#openTimer);
    this.#openTimer = undefined;
    this.#speaking = false;
    this.#unanswered.connectionLost();
    this.#releaseHeld();
    clearTimeout(this.#answerTimer);
  }

  /** Reports a lost turn or the first failure, and waits before the next connection. */
  async #recover({ error, duringTurn }: ConnectionFailure): Promise<void> {
    this.#failures += 1;
    if (this.#failures > MAX_FAILURES) throw error;
    const failedAgain = duringTurn && this.#sentAgain;
    if (failedAgain) this.#unanswered.clear();
    else if (duringTurn || this.#failures === 1) this.#owner.reportError(error);
    this.#sentAgain = failedAgain ? false : this.#sentAgain || duringTurn;
    const backoffMs = BACKOFF_MS * 2 ** (this.#failures - 1);
    // An abort ends the wait early, and the loop in `run` checks for it.
    await delay(backoffMs, undefined, { signal: this.abortSignal }).catch(() => {});
  }

  async #forwardInput(): Promise<void> {
    for await (const frame of this.input) {
      if (typeof frame === "symbol") continue;
      this.#unanswered.push(frame);
      try {
        if (this.#connection) this.#push(this.#connection, frame);
      } catch {
        // The connection has just ended. The frame is kept and sent on the next one.
      }
    }
    this.#connection?.close();
  }

  #push(connection: stt.SpeechStream, frame: AudioFrame): void {
    if (!this.#isOpen) this.#openTimer ??= this.#startTimeout(connection);
    connection.pushFrame(frame);
  }

  #startTimeout(connection: stt.SpeechStream): ReturnType<typeof setTimeout> {
    return setTimeout(() => {
      this.#timedOut = true;
      connection.close();
    }, ANSWER_TIMEOUT_MS);
  }

  #handle(event: stt.SpeechEvent, connection: stt.SpeechStream): void {
    switch (event.type) {
      case stt.SpeechEventType.INTERIM_TRANSCRIPT:
        this.#put(this.#withHeldText(event));
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
        this.#unanswered.endUtterance();
        this.#lastSpeechAt = Date.now() - VAD_SILENCE_MS;
        clearTimeout(this.#answerTimer);
        this.#answerTimer = this.#startTimeout(connection);
        break;
      case stt.SpeechEventType.RECOGNITION_USAGE:
        this.#utteranceAnswered();
    }
    this.#put(event);
  }

  /** Holds a final back and emits the text of the turn so far, so that the answer can be prepared. */
  #hold(event: stt.SpeechEvent): void {
    this.#held = this.#withHeldText(event);
    const { PREFLIGHT_TRANSCRIPT, INTERIM_TRANSCRIPT } = stt.SpeechEventType;
    this.#put({ ...this.#held, type: this.#speaking ? INTERIM_TRANSCRIPT : PREFLIGHT_TRANSCRIPT });
  }

  #withHeldText(event: stt.SpeechEvent): stt.SpeechEvent {
    const alternatives = event.alternatives?.map((alternative) => ({
      ...alternative,
      text: [textOf(this.#held), alternative.text].filter(Boolean).join(" "),
    }));
    return { ...event, alternatives: alternatives as typeof event.alternatives };
  }

  /** The server answered an utterance, with or without text. The turn ends if silence lasts. */
  #utteranceAnswered(): void {
    this.#unanswered.answerUtterance();
    this.#failures = 0;
    this.#sentAgain = false;
    if (this.#unanswered.awaitsAnswer) return;
    clearTimeout(this.#answerTimer);
    if (this.#speaking || !this.#held) return;
    const endsAt = this.#lastSpeechAt + silenceBeforeTurnEnds(textOf(this.#held));
    this.#endTimer = setTimeout(() => this.#releaseHeld(), Math.max(0, endsAt - Date.now()));
  }

  /** Emits the held transcript as final. */
  #releaseHeld(): void {
    clearTimeout(this.#endTimer);
    const held = this.#held;
    this.#held = undefined;
    if (held) this.#put(held);
  }

  #put(event: stt.SpeechEvent): void {
    if (!this.queue.closed) this.queue.put(event);
  }

  override close(): void {
    super.close();
    this.#onClose();
  }
}

function textOf(event: stt.SpeechEvent | undefined): string {
  return event?.alternatives?.[0]?.text ?? "";
}
