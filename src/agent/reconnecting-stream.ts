import { setTimeout as delay } from "node:timers/promises";
import { stt, type VADEvent, VADEventType, type VADStream } from "@livekit/agents";
import type { AudioFrame } from "@livekit/rtc-node";
import { redactProviderError } from "../providers/provider-errors.ts";
import {
  type ConnectionEnd,
  REALTIME_RATE,
  TranscriptionConnection,
} from "../providers/realtime-transcription.ts";
import { joinFrames } from "./audio-frames.ts";
import { MAX_FAILURES } from "./failed-turns.ts";
import { HeldTurn } from "./held-turn.ts";
import { isGood, Outage } from "./outage.ts";
import type { RealtimeStt } from "./realtime-stt.ts";
import { interimWordsIn, wordsIn } from "./sound-notes.ts";
import { type AudioSink, UnansweredAudio } from "./unanswered-audio.ts";
import { VOICED, VOICED_WINDOW_MS } from "./voiced-time.ts";

/** How long the server may take to open, and from the end of speech to the transcript, in ms. */
const ANSWER_TIMEOUT_MS = 8000;
/** The same while it has given no transcript yet and requests can take over, in ms. */
const TRIAL_TIMEOUT_MS = 4000;
/** Speech that a server hears nothing in is a failure of its first transcript from here on, in ms. */
const CLEAR_SPEECH_MS = 600;
/** How long words wait for a server that is away, in ms; longer than LiveKit's link may take. */
const MAX_WAIT_MS = 30_000;
/** When words have waited for so long, in ms, requests are tried, or the person is told. */
const SHORT_WAIT_MS = 2000;
const HEARD_NOTHING = "it heard nothing in clear speech";
const TOO_LATE = "it did not answer in time";

/** The stream of `RealtimeStt`: one person's audio, over as many connections as it takes. */
export class ReconnectingStream extends stt.SpeechStream {
  label = "parley.ReconnectingStream";
  readonly #owner: RealtimeStt;
  readonly #onClose: () => void;
  readonly #audio = new UnansweredAudio<AudioFrame>();
  readonly #turn: HeldTurn;
  readonly #outage = new Outage();
  #connection: TranscriptionConnection | undefined;
  /** The stream of requests, once they have taken over. */
  #requests: stt.SpeechStream | undefined;
  /** Words to expect, as long as the server has not refused them. */
  #prompt: string | undefined;
  /** Whether the server has transcribed something. */
  #isProven = false;
  /** Why this stream itself ended the connection. */
  #gaveUp: string | undefined;
  #answerTimer: ReturnType<typeof setTimeout> | undefined;
  /** Closes the VAD, which can be done once. */
  #closeVad = () => {};
  /** Whether the person knows that their words wait. */
  #hasToldOfWait = false;

  constructor(owner: RealtimeStt, onClose: () => void) {
    super(owner, REALTIME_RATE);
    this.#owner = owner;
    this.#onClose = onClose;
    const { language, prompt } = owner.options.server;
    this.#prompt = prompt;
    this.#turn = new HeldTurn({ language, emit: (event) => this.#put(event) });
  }

  protected async run(): Promise<void> {
    const vad = this.#owner.options.vad.stream();
    const close = () => {
      this.#connection?.close();
      this.#requests?.close();
      this.#closeVad();
    };
    this.#closeVad = () => {
      this.#closeVad = () => {};
      vad.close();
    };
    this.abortSignal.addEventListener("abort", close, { once: true });
    try {
      await Promise.all([this.#transcribe(), this.#forwardInput(vad), this.#detectSpeech(vad)]);
    } finally {
      this.abortSignal.removeEventListener("abort", close);
      clearTimeout(this.#answerTimer);
      this.#turn.release();
      close();
      this.#onClose();
    }
  }

  get #isOver(): boolean {
    return this.abortSignal.aborted || this.input.closed;
  }

  /** Whether somebody speaks, or has spoken and got no transcript yet. */
  get #isWaitedFor(): boolean {
    return this.#audio.isSpeaking || this.#audio.awaitsAnswer;
  }

  /** Connects again and again, until the audio ends or requests take over. */
  async #transcribe(): Promise<void> {
    while (!this.#isOver) {
      const end = await this.#connectOnce();
      if (this.#isOver) return;
      if (this.#dropsPrompt(end)) continue;
      const error = redactProviderError("stt", this.#gaveUp ? new Error("timed out") : end.error);
      const waitMs = this.#outage.failed(end.openMs, end.isRefusal);
      if (await this.#needsRequests(end)) {
        return this.#useRequests(this.#gaveUp ?? error.message, error);
      }
      this.#judgeWait(error);
      // An abort ends the wait early, and the loop checks for it.
      await delay(waitMs, undefined, { signal: this.abortSignal }).catch(() => {});
    }
  }

  /** Runs one connection until it ends; resolves with the reason. */
  async #connectOnce(): Promise<ConnectionEnd> {
    this.#gaveUp = undefined;
    const connection = new TranscriptionConnection(
      { ...this.#owner.options.server, prompt: this.#prompt },
      {
        onOpen: () => this.#send(),
        onPart: (text) => this.#showInterim(text),
        onTranscript: (text, language) => this.#answered(text, language),
      },
      this.#answerMs,
    );
    this.#connection = connection;
    const end = await connection.ended;
    this.#connection = undefined;
    clearTimeout(this.#answerTimer);
    this.#answerTimer = undefined;
    this.#audio.connectionLost();
    return end;
  }

  /** Whether a failure means that the server cannot do it, and requests can. */
  get #isTrial(): boolean {
    return !this.#isProven && this.#owner.options.requests !== undefined;
  }

  get #answerMs(): number {
    return this.#isTrial ? TRIAL_TIMEOUT_MS : ANSWER_TIMEOUT_MS;
  }

  /** A model that answers with an error at first may have refused the words to expect. */
  #dropsPrompt({ isRefusal, openMs }: ConnectionEnd): boolean {
    const mayBeFault = !this.#isProven && isRefusal && openMs !== undefined;
    if (!mayBeFault || this.#prompt === undefined) return false;
    this.#prompt = undefined;
    return true;
  }

  /** Whether the server itself has refused so often that waiting does not help. */
  get #isRefused(): boolean {
    return this.#outage.refusals > MAX_FAILURES;
  }

  async #needsRequests({ openMs }: ConnectionEnd): Promise<boolean> {
    if (this.#owner.options.requests === undefined) return false;
    if (this.#gaveUp === HEARD_NOTHING) return true;
    // Servers that speak another protocol open the connection and fail soon, or at the first words.
    const isOtherProtocol = this.#isTrial && openMs !== undefined;
    if (!this.#isWaitedFor) return isOtherProtocol && !isGood(openMs);
    const hasWaited = this.#audio.waitsMs >= SHORT_WAIT_MS;
    const isRefused = this.#isRefused && this.#audio.awaitsAnswer;
    return (isOtherProtocol || hasWaited || isRefused) && this.#requestsAnswer();
  }

  /** Whether requests are answered; perhaps the whole server is away. */
  async #requestsAnswer(): Promise<boolean> {
    const deadline = AbortSignal.timeout(TRIAL_TIMEOUT_MS);
    const signal = AbortSignal.any([this.abortSignal, deadline]);
    try {
      await this.#owner.options.requests?.recognize(joinFrames(this.#audio.frames), signal);
      return true;
    } catch {
      return false;
    }
  }

  /** Goes on with requests, to which the unanswered audio is sent first. */
  async #useRequests(why: string, error: Error): Promise<void> {
    const { requests } = this.#owner.options;
    if (!requests || this.#isOver) return;
    this.#turn.release();
    // Perhaps there was nothing to hear. If requests hear something, it is certain.
    if (why !== HEARD_NOTHING) this.#owner.reportSwitch(why, error);
    const stream = requests.stream();
    for (const frame of this.#audio.frames) stream.pushFrame(frame);
    this.#requests = stream;
    // Requests have a VAD of their own.
    this.#closeVad();
    try {
      for await (const event of stream) {
        this.#owner.reportSwitch(why, error);
        this.#put(event);
      }
    } finally {
      stream.close();
    }
  }

  /** Gives words up that have waited too long, or tells the person once that they wait. */
  #judgeWait(error: Error): void {
    if (this.#audio.dropOlderThan(this.#isRefused ? 0 : MAX_WAIT_MS)) {
      this.#owner.reportError(error);
      return;
    }
    if (this.#audio.waitsMs < SHORT_WAIT_MS || this.#hasToldOfWait) return;
    this.#hasToldOfWait = true;
    this.#owner.options.onNotice({
      code: "stt_reconnecting",
      message: "Speech recognition is reconnecting. What you say is kept until then.",
      stage: "stt",
      transient: true,
    });
  }

  async #forwardInput(vad: VADStream): Promise<void> {
    try {
      for await (const frame of this.input) {
        if (typeof frame === "symbol") continue;
        if (this.#requests) {
          this.#requests.pushFrame(frame);
          continue;
        }
        this.#audio.push(frame);
        vad.pushFrame(frame);
        this.#send();
      }
    } finally {
      this.#closeVad();
      this.#connection?.close();
      this.#requests?.close();
    }
  }

  async #detectSpeech(vad: VADStream): Promise<void> {
    for await (const event of vad) if (!this.#requests) this.#detected(event);
  }

  #detected({ type, probability, speechDuration }: VADEvent): void {
    switch (type) {
      case VADEventType.INFERENCE_DONE:
        if (probability > VOICED) this.#audio.voiced(VOICED_WINDOW_MS);
        return;
      case VADEventType.START_OF_SPEECH:
        this.#audio.startUtterance(speechDuration);
        this.#turn.speechStarted();
        this.#put({ type: stt.SpeechEventType.START_OF_SPEECH });
        return;
      case VADEventType.END_OF_SPEECH:
        this.#audio.endUtterance();
        this.#turn.speechEnded();
        this.#send();
        this.#put({ type: stt.SpeechEventType.END_OF_SPEECH });
    }
  }

  /** Sends what the connection does not have yet. */
  #send(): void {
    const connection = this.#connection;
    if (connection?.isOpen) this.#audio.send(this.#sinkOf(connection));
  }

  #sinkOf(connection: TranscriptionConnection): AudioSink<AudioFrame> {
    return {
      append: ({ data }) => connection.append(data),
      commit: () => {
        connection.commit();
        // Further speech does not put off the answer to the first.
        this.#answerTimer ??= this.#awaitAnswer(connection);
      },
    };
  }

  #awaitAnswer(connection: TranscriptionConnection): ReturnType<typeof setTimeout> {
    return setTimeout(() => this.#giveUp(connection, TOO_LATE), this.#answerMs);
  }

  #giveUp(connection: TranscriptionConnection | undefined, why: string): void {
    this.#gaveUp = why;
    connection?.close();
  }

  #showInterim(text: string): void {
    const words = interimWordsIn(text, this.#audio.oldest.voicedMs);
    if (words !== "") this.#turn.showInterim(words);
  }

  /** The server answered an utterance. The turn ends if silence lasts. */
  #answered(text: string, language: string | undefined): void {
    const { voicedMs, audioMs } = this.#audio.oldest;
    if (text !== "") this.#isProven = true;
    else if (this.#isTrial && voicedMs >= CLEAR_SPEECH_MS) {
      this.#giveUp(this.#connection, HEARD_NOTHING);
      return;
    }
    this.#outage.over();
    this.#hasToldOfWait = false;
    this.#audio.answerUtterance();
    clearTimeout(this.#answerTimer);
    this.#answerTimer = undefined;
    const words = wordsIn(text, voicedMs);
    if (words !== "") this.#turn.add(words, language, audioMs, this.#audio.isSpeaking);
    if (!this.#audio.awaitsAnswer) {
      if (!this.#audio.isSpeaking) this.#turn.awaitEnd();
    } else if (this.#connection) this.#answerTimer = this.#awaitAnswer(this.#connection);
  }

  #put(event: stt.SpeechEvent): void {
    if (!this.queue.closed) this.queue.put(event);
  }

  override close(): void {
    super.close();
    this.#onClose();
  }
}
