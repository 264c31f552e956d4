import { setTimeout as delay } from "node:timers/promises";
import { type AudioBuffer, stt } from "@livekit/agents";
import type { STT as OpenAiStt } from "@livekit/agents-plugin-openai";
import type { AudioFrame } from "@livekit/rtc-node";
import { redactProviderError } from "../providers/provider-errors.ts";
import { UnansweredAudio } from "./audio-frames.ts";
import { silenceBeforeTurnEnds, VAD_SILENCE_MS } from "./end-of-turn.ts";
import { MAX_FAILURES } from "./failed-turns.ts";
import { interimWordsIn, wordsIn } from "./sound-notes.ts";
import { type SttError, SttWrapper } from "./stt-wrapper.ts";
import type { UtteranceStt } from "./utterance-stt.ts";
import type { ConnectionEvents } from "./vad.ts";
import { VoicedTime } from "./voiced-time.ts";

/** Audio that is kept to be sent again after a broken connection, in ms. */
const MAX_UNANSWERED_MS = 30_000;
/** How long the server may take to open, and from the end of speech to the transcript, in ms. */
const ANSWER_TIMEOUT_MS = 8000;
/** The same while it has given no transcript yet and requests can take over, in ms. */
const TRIAL_TIMEOUT_MS = 4000;
/** Speech that a server hears nothing in is a failure of its first transcript from here on, in ms. */
const CLEAR_SPEECH_MS = 600;
/** The plugin keeps the option that is not mentioned. */
const WITHOUT_PROMPT: object = { prompt: undefined };
const HEARD_NOTHING = "it heard nothing in clear speech";
/** Wait before the first reconnection, in ms; it doubles with each failure in a row. */
const BACKOFF_MS = 300;

export interface RealtimeSttOptions {
  /** The plugin's client. */
  recognizer: OpenAiStt;
  connectionEvents: ConnectionEvents;
  /** The code of the language that is spoken; null where the server detects it. */
  language: string | null;
  /** Whether the server gets words to expect, which some models refuse. */
  hasPrompt: boolean;
  /** What takes over when realtime transcription does not work. */
  requests?: UtteranceStt | undefined;
  /** Called when it has taken over, with the reason. */
  onSwitch(why: string, error: Error): void;
}

/**
 * Speech-to-text over OpenAI's realtime transcription WebSocket. The plugin's stream ends the
 * session at its first error. This one reconnects, sends the unanswered audio once more, and gives
 * up only after several failures in a row. Many servers open this WebSocket and speak another
 * protocol on it, so until the first transcript one failure is enough, if requests can take over.
 */
export class RealtimeStt extends SttWrapper {
  label = "parley.RealtimeStt";
  readonly options: RealtimeSttOptions;
  #hasSwitched = false;

  constructor(options: RealtimeSttOptions) {
    super();
    this.options = options;
    // The plugin emits errors that the stream below handles. Without a listener it would throw.
    options.recognizer.on("error", ignore);
    options.requests?.on("error", (event) => this.emit("error", event));
  }

  override get model(): string {
    return this.options.recognizer.model;
  }

  protected override _recognize(
    audio: AudioBuffer,
    signal?: AbortSignal,
  ): Promise<stt.SpeechEvent> {
    return this.options.recognizer.recognize(audio, signal);
  }

  protected override createStream(onClose: () => void): stt.SpeechStream {
    return new ReconnectingStream(this, onClose);
  }

  /** Tells once that requests have taken over. */
  reportSwitch({ why, error }: ConnectionFailure): void {
    if (!this.#hasSwitched) this.options.onSwitch(why, error);
    this.#hasSwitched = true;
  }

  override async close(): Promise<void> {
    await super.close();
    await Promise.all([this.options.recognizer.close(), this.options.requests?.close()]);
    this.options.recognizer.off("error", ignore);
    this.options.requests?.removeAllListeners("error");
  }
}

function ignore(): void {}

/** Why a connection ended, and whether a turn was lost with it. */
interface ConnectionFailure {
  error: Error;
  duringTurn: boolean;
  /** Why it ended, for the log. */
  why: string;
  /** Whether it ended with an error, perhaps of the server, and did not just close. */
  isRefusal: boolean;
}

class ReconnectingStream extends stt.SpeechStream {
  label = "parley.ReconnectingStream";
  readonly #owner: RealtimeStt;
  readonly #onClose: () => void;
  readonly #unanswered = new UnansweredAudio<AudioFrame>(MAX_UNANSWERED_MS);
  #connection: stt.SpeechStream | undefined;
  /** The stream of requests, once they have taken over. */
  #requests: stt.SpeechStream | undefined;
  /** Whether the server still gets words to expect. */
  #hasPrompt: boolean;
  #isOpen = false;
  /** Why this stream itself ended the connection. */
  #gaveUp: string | undefined;
  /** Whether the server has transcribed something. */
  #isProven = false;
  /** Whether the utterance that is being answered has text. */
  #hasText = false;
  readonly #voiced = new VoicedTime();
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
    this.#hasPrompt = owner.options.hasPrompt;
  }

  protected async run(): Promise<void> {
    const input = this.#forwardInput();
    try {
      while (!this.abortSignal.aborted) {
        const failure = await this.#connectOnce();
        if (this.abortSignal.aborted || this.input.closed) break;
        if (this.#dropsPrompt(failure)) continue;
        if (this.#needsRequests()) {
          await this.#useRequests(failure);
          break;
        }
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
    const { recognizer, connectionEvents } = this.#owner.options;
    this.#gaveUp = undefined;
    let error = new Error("the connection closed");
    let isRefusal = false;
    const onError = (event: SttError) => {
      error = event.error;
      isRefusal = true;
    };
    recognizer.on("error", onError);
    const connection = recognizer.stream({
      connOptions: { maxRetry: 0, retryIntervalMs: 0, timeoutMs: ANSWER_TIMEOUT_MS },
    });
    this.#connection = connection;
    const abort = () => connection.close();
    this.abortSignal.addEventListener("abort", abort, { once: true });
    connectionEvents.onOpen = () => {
      this.#isOpen = true;
      clearTimeout(this.#openTimer);
    };
    connectionEvents.onVad = (event) => this.#voiced.add(event);
    for (const frame of this.#unanswered.frames) this.#push(connection, frame);
    try {
      for await (const event of connection) this.#handle(event, connection);
      const cause = this.#gaveUp ? new Error("timed out") : error;
      const duringTurn = this.#speaking || this.#unanswered.awaitsAnswer;
      const redacted = redactProviderError("stt", cause);
      return { error: redacted, duringTurn, why: this.#gaveUp ?? redacted.message, isRefusal };
    } finally {
      this.#resetConnection();
      this.abortSignal.removeEventListener("abort", abort);
      recognizer.off("error", onError);
      connection.close();
    }
  }

  #resetConnection(): void {
    this.#connection = undefined;
    this.#isOpen = false;
    clearTimeout(this.#openTimer);
    this.#openTimer = undefined;
    this.#speaking = false;
    this.#hasText = false;
    this.#voiced.clear();
    this.#unanswered.connectionLost();
    this.#releaseHeld();
    clearTimeout(this.#answerTimer);
  }

  /** A model that answers with an error at first may have refused the words to expect. */
  #dropsPrompt({ isRefusal }: ConnectionFailure): boolean {
    if (this.#isProven || !isRefusal || !this.#hasPrompt) return false;
    this.#hasPrompt = false;
    this.#owner.options.recognizer.updateOptions(WITHOUT_PROMPT);
    return true;
  }

  /** Whether requests take over after a failure. */
  #needsRequests(): boolean {
    const mayRecover = this.#isProven && this.#failures < MAX_FAILURES;
    return !mayRecover && this.#owner.options.requests !== undefined;
  }

  /** Goes on with requests, to which the unanswered audio is sent first. */
  async #useRequests(failure: ConnectionFailure): Promise<void> {
    const { requests } = this.#owner.options;
    if (!requests) return;
    // Perhaps there was nothing to hear. If requests hear something, it is certain.
    if (failure.why !== HEARD_NOTHING) this.#owner.reportSwitch(failure);
    const stream = requests.stream();
    const abort = () => stream.close();
    this.abortSignal.addEventListener("abort", abort, { once: true });
    try {
      for (const frame of this.#unanswered.frames) stream.pushFrame(frame);
      this.#unanswered.clear();
      this.#requests = stream;
      for await (const event of stream) {
        this.#owner.reportSwitch(failure);
        this.#put(event);
      }
    } finally {
      this.abortSignal.removeEventListener("abort", abort);
      stream.close();
    }
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
      if (!this.#requests) this.#unanswered.push(frame);
      try {
        if (this.#requests) this.#requests.pushFrame(frame);
        else if (this.#connection) this.#push(this.#connection, frame);
      } catch {
        // The connection has just ended. The frame is kept and sent on the next one.
      }
    }
    this.#connection?.close();
    this.#requests?.close();
  }

  #push(connection: stt.SpeechStream, frame: AudioFrame): void {
    if (!this.#isOpen) this.#openTimer ??= this.#startTimeout(connection);
    connection.pushFrame(frame);
  }

  #startTimeout(connection: stt.SpeechStream): ReturnType<typeof setTimeout> {
    const isTrial = !this.#isProven && this.#owner.options.requests !== undefined;
    const ms = isTrial ? TRIAL_TIMEOUT_MS : ANSWER_TIMEOUT_MS;
    return setTimeout(() => this.#giveUp(connection, "it did not answer in time"), ms);
  }

  #giveUp(connection: stt.SpeechStream, why: string): void {
    this.#gaveUp = why;
    connection.close();
  }

  #handle(event: stt.SpeechEvent, connection: stt.SpeechStream): void {
    switch (event.type) {
      case stt.SpeechEventType.INTERIM_TRANSCRIPT:
        this.#showInterim(event);
        return;
      case stt.SpeechEventType.FINAL_TRANSCRIPT:
        this.#isProven = true;
        this.#hasText = true;
        this.#hold(event);
        return;
      case stt.SpeechEventType.START_OF_SPEECH:
        this.#speaking = true;
        clearTimeout(this.#endTimer);
        break;
      case stt.SpeechEventType.END_OF_SPEECH:
        this.#speaking = false;
        // Further speech does not put off the answer to the first.
        if (!this.#unanswered.awaitsAnswer) this.#awaitAnswer(connection);
        this.#unanswered.endUtterance();
        this.#voiced.endUtterance();
        this.#lastSpeechAt = Date.now() - VAD_SILENCE_MS;
        break;
      case stt.SpeechEventType.RECOGNITION_USAGE:
        if (this.#hearsNothing()) {
          this.#giveUp(connection, HEARD_NOTHING);
          return;
        }
        this.#utteranceAnswered(connection);
    }
    this.#put(event);
  }

  /** Whether a server that has transcribed nothing yet found nothing in clear speech. */
  #hearsNothing(): boolean {
    const isTrial = !this.#isProven && this.#owner.options.requests !== undefined;
    return isTrial && !this.#hasText && this.#voiced.ofAnswered >= CLEAR_SPEECH_MS;
  }

  #awaitAnswer(connection: stt.SpeechStream): void {
    clearTimeout(this.#answerTimer);
    this.#answerTimer = this.#startTimeout(connection);
  }

  #showInterim(event: stt.SpeechEvent): void {
    const text = interimWordsIn(textOf(event), this.#voiced.ofAnswered);
    if (text !== "") this.#put(this.#withHeldText(withText(event, text)));
  }

  /** Holds a final back and emits the text of the turn so far, so that the answer can be prepared. */
  #hold(event: stt.SpeechEvent): void {
    const text = wordsIn(textOf(event), this.#voiced.ofAnswered);
    if (text === "") return;
    this.#held = this.#withHeldText(withText(event, text));
    const { PREFLIGHT_TRANSCRIPT, INTERIM_TRANSCRIPT } = stt.SpeechEventType;
    this.#put({ ...this.#held, type: this.#speaking ? INTERIM_TRANSCRIPT : PREFLIGHT_TRANSCRIPT });
  }

  #withHeldText(event: stt.SpeechEvent): stt.SpeechEvent {
    return withText(event, [textOf(this.#held), textOf(event)].filter(Boolean).join(" "));
  }

  /** The server answered an utterance, with or without text. The turn ends if silence lasts. */
  #utteranceAnswered(connection: stt.SpeechStream): void {
    this.#unanswered.answerUtterance();
    this.#voiced.answerUtterance();
    this.#hasText = false;
    this.#failures = 0;
    this.#sentAgain = false;
    if (this.#unanswered.awaitsAnswer) {
      this.#awaitAnswer(connection);
      return;
    }
    clearTimeout(this.#answerTimer);
    if (this.#speaking || !this.#held) return;
    const language = this.#owner.options.language ?? languageOf(this.#held);
    const endsAt = this.#lastSpeechAt + silenceBeforeTurnEnds(textOf(this.#held), language);
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

function withText(event: stt.SpeechEvent, text: string): stt.SpeechEvent {
  const alternatives = event.alternatives?.map((alternative) => ({ ...alternative, text }));
  return { ...event, alternatives: alternatives as typeof event.alternatives };
}

function languageOf(event: stt.SpeechEvent): string | undefined {
  return event.alternatives?.[0]?.language.split("-", 1)[0] || undefined;
}
