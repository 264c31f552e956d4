import { setTimeout as delay } from "node:timers/promises";
import { stt, type VADEvent, VADEventType, type VADStream } from "@livekit/agents";
import type { AudioFrame } from "@livekit/rtc-node";
import { REALTIME_RATE } from "../providers/realtime-transcription.ts";
import { joinFrames } from "./audio-frames.ts";
import { MAX_FAILURES } from "./failed-turns.ts";
import { HeldTurn } from "./held-turn.ts";
import { isGood, Outage } from "./outage.ts";
import { type Answer, type LinkEnd, RealtimeLink, TRIAL_TIMEOUT_MS } from "./realtime-link.ts";
import type { RealtimeStt } from "./realtime-stt.ts";
import { interimWordsIn, wordsIn } from "./sound-notes.ts";
import { UnansweredAudio } from "./unanswered-audio.ts";
import { VOICED, VOICED_WINDOW_MS } from "./voiced-time.ts";

/** How long words wait for a server that is away, in ms; longer than LiveKit's link may take. */
const MAX_WAIT_MS = 30_000;
/** When words have waited for so long, in ms, requests are tried, or the person gets a notice. */
const SHORT_WAIT_MS = 2000;

/** The stream of `RealtimeStt`: one person's audio, over as many connections as it takes. */
export class ReconnectingStream extends stt.SpeechStream {
  label = "parley.ReconnectingStream";
  readonly #owner: RealtimeStt;
  readonly #onClose: () => void;
  readonly #audio = new UnansweredAudio<AudioFrame>();
  readonly #link: RealtimeLink;
  readonly #turn: HeldTurn;
  readonly #outage = new Outage();
  /** The stream of requests, once they have taken over. */
  #requests: stt.SpeechStream | undefined;
  /** Closes the VAD, which can be done once. */
  #closeVad = () => {};
  /** Words that arrived before there was enough speech for them. */
  #earlyWords = "";
  /** Whether the person knows that their words wait. */
  #hasToldOfWait = false;

  constructor(owner: RealtimeStt, onClose: () => void) {
    super(owner, REALTIME_RATE);
    this.#owner = owner;
    this.#onClose = onClose;
    const { server, requests } = owner.options;
    this.#turn = new HeldTurn({ language: server.language, emit: (event) => this.#put(event) });
    this.#link = new RealtimeLink({
      server,
      audio: this.#audio,
      hasRequests: requests !== undefined,
      onPart: (text) => this.#showInterim(text),
      onAnswer: (answer) => this.#answered(answer),
    });
  }

  protected async run(): Promise<void> {
    const vad = this.#owner.options.vad.stream();
    this.#closeVad = () => {
      this.#closeVad = () => {};
      vad.close();
    };
    const close = () => this.#closeParts();
    this.abortSignal.addEventListener("abort", close, { once: true });
    try {
      await Promise.all([this.#transcribe(), this.#forwardInput(vad), this.#detectSpeech(vad)]);
    } finally {
      this.abortSignal.removeEventListener("abort", close);
      this.#turn.release();
      close();
      this.#onClose();
    }
  }

  #closeParts(): void {
    this.#link.close();
    this.#requests?.close();
    this.#closeVad();
  }

  get #isOver(): boolean {
    return this.abortSignal.aborted || this.input.closed;
  }

  /** Connects again and again, until the audio ends or requests take over. */
  async #transcribe(): Promise<void> {
    while (!this.#isOver) {
      const end = await this.#link.connect();
      if (this.#isOver) return;
      if (this.#link.dropsPrompt(end)) continue;
      const waitMs = this.#outage.failed(end.openMs, end.isRefusal);
      if (await this.#needsRequests(end)) return this.#useRequests(end);
      this.#judgeWait(end.error);
      // An abort ends the wait early, and the loop checks for it.
      await delay(waitMs, undefined, { signal: this.abortSignal }).catch(() => {});
    }
  }

  /** Whether the server itself has refused so often that waiting does not help. */
  get #isRefused(): boolean {
    return this.#outage.refusals > MAX_FAILURES;
  }

  async #needsRequests({ openMs, heardNothing }: LinkEnd): Promise<boolean> {
    if (this.#owner.options.requests === undefined) return false;
    if (heardNothing) return true;
    const { isSpeaking, awaitsAnswer, waitsMs } = this.#audio;
    // Servers that speak another protocol open the connection and fail soon, or at the first words.
    const isOtherProtocol = this.#link.isTrial && openMs !== undefined;
    if (!isSpeaking && !awaitsAnswer) return isOtherProtocol && !isGood(openMs);
    const isLong = waitsMs >= SHORT_WAIT_MS || (this.#isRefused && awaitsAnswer);
    return (isOtherProtocol || isLong) && this.#requestsAnswer();
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
  async #useRequests({ why, error, heardNothing }: LinkEnd): Promise<void> {
    const { requests } = this.#owner.options;
    if (!requests || this.#isOver) return;
    this.#turn.release();
    // Perhaps there was nothing to hear. If requests hear something, it is certain.
    if (!heardNothing) this.#owner.reportSwitch(why, error);
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
        this.#link.send();
      }
    } finally {
      this.#closeParts();
    }
  }

  async #detectSpeech(vad: VADStream): Promise<void> {
    for await (const event of vad) if (!this.#requests) this.#detected(event);
  }

  #detected({ type, probability, speechDuration }: VADEvent): void {
    switch (type) {
      case VADEventType.INFERENCE_DONE:
        if (probability > VOICED) this.#voiced();
        return;
      case VADEventType.START_OF_SPEECH:
        this.#audio.startUtterance(speechDuration);
        this.#turn.speechStarted();
        this.#put({ type: stt.SpeechEventType.START_OF_SPEECH });
        return;
      case VADEventType.END_OF_SPEECH:
        this.#audio.endUtterance();
        this.#turn.speechEnded();
        this.#link.send();
        this.#put({ type: stt.SpeechEventType.END_OF_SPEECH });
    }
  }

  #voiced(): void {
    this.#audio.voiced(VOICED_WINDOW_MS);
    if (this.#earlyWords !== "") this.#showInterim(this.#earlyWords);
  }

  #showInterim(text: string): void {
    const words = interimWordsIn(text, this.#audio.oldest.voicedMs);
    this.#earlyWords = words === "" ? text : "";
    if (words !== "") this.#turn.showInterim(words);
  }

  /** The server answered an utterance. The turn ends if silence lasts. */
  #answered({ text, language, audioMs, voicedMs }: Answer): void {
    this.#outage.over();
    this.#hasToldOfWait = false;
    this.#earlyWords = "";
    const { isSpeaking, awaitsAnswer } = this.#audio;
    const words = wordsIn(text, voicedMs);
    if (words !== "") this.#turn.add(words, language, audioMs, isSpeaking);
    if (!isSpeaking && !awaitsAnswer) this.#turn.awaitEnd();
  }

  #put(event: stt.SpeechEvent): void {
    if (!this.queue.closed) this.queue.put(event);
  }

  override close(): void {
    super.close();
    this.#onClose();
  }
}
