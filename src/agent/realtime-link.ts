import type { AudioFrame } from "@livekit/rtc-node";
import { redactProviderError } from "../providers/provider-errors.ts";
import {
  TranscriptionConnection,
  type TranscriptionOptions,
} from "../providers/realtime-transcription.ts";
import type { UnansweredAudio } from "./unanswered-audio.ts";

/** How long the server may take to open, and from the end of speech to the transcript, in ms. */
const ANSWER_TIMEOUT_MS = 8000;
/** The same while it has given no transcript yet and requests can take over, in ms. */
export const TRIAL_TIMEOUT_MS = 4000;
/** Speech that a server hears nothing in is a failure of its first transcript from here on, in ms. */
const CLEAR_SPEECH_MS = 600;

export interface RealtimeLinkOptions {
  server: TranscriptionOptions;
  /** What is sent; the link takes utterances from it when they are answered. */
  audio: UnansweredAudio<AudioFrame>;
  /** Whether something else can transcribe if the server turns out not to. */
  hasRequests: boolean;
  onPart(text: string): void;
  /** The transcript of the oldest utterance, which `audio` does not hold any more. */
  onAnswer(answer: Answer): void;
}

/** The transcript of an utterance, which may be empty, and what is known of its audio, in ms. */
export interface Answer {
  text: string;
  /** As a BCP 47 tag, if the server tells. */
  language: string | undefined;
  audioMs: number;
  voicedMs: number;
}

/** Why a connection ended. */
export interface LinkEnd {
  /** Without any of the server's own words. */
  error: Error;
  /** For the log. */
  why: string;
  /** Whether the server itself refused, and was not just away. */
  isRefusal: boolean;
  /** How long it was open, in ms; undefined if it never was. */
  openMs: number | undefined;
  /** Whether the server heard nothing in clear speech, where there may have been nothing. */
  heardNothing: boolean;
}

/** The way to a server that transcribes in real time: one connection after another. */
export class RealtimeLink {
  readonly #options: RealtimeLinkOptions;
  #connection: TranscriptionConnection | undefined;
  /** Words to expect, as long as the server has not refused them. */
  #prompt: string | undefined;
  /** Whether the server has transcribed something. */
  #isProven = false;
  /** Why the connection was given up from here. */
  #gaveUp: string | undefined;
  #heardNothing = false;
  #answerTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: RealtimeLinkOptions) {
    this.#options = options;
    this.#prompt = options.server.prompt;
  }

  /** Whether a failure may mean that the server cannot do it at all, and requests can. */
  get isTrial(): boolean {
    return !this.#isProven && this.#options.hasRequests;
  }

  /** Runs one connection until it ends; resolves with the reason. */
  async connect(): Promise<LinkEnd> {
    this.#gaveUp = undefined;
    this.#heardNothing = false;
    const connection = new TranscriptionConnection(
      { ...this.#options.server, prompt: this.#prompt },
      {
        onOpen: () => this.send(),
        onPart: (text) => this.#options.onPart(text),
        onTranscript: (text, language) => this.#answered(text, language),
      },
      this.#answerMs,
    );
    this.#connection = connection;
    const { error, isRefusal, openMs } = await connection.ended;
    this.#connection = undefined;
    this.#stopWaiting();
    this.#options.audio.connectionLost();
    const redacted = redactProviderError("stt", this.#gaveUp ? new Error("timed out") : error);
    const why = this.#gaveUp ?? redacted.message;
    return { error: redacted, why, isRefusal, openMs, heardNothing: this.#heardNothing };
  }

  /**
   * A model that answers with an error at first may have refused the words to expect. Answers
   * whether the next connection goes without them for that reason.
   */
  dropsPrompt({ isRefusal, openMs }: LinkEnd): boolean {
    const mayBeFault = !this.#isProven && isRefusal && openMs !== undefined;
    if (!mayBeFault || this.#prompt === undefined) return false;
    this.#prompt = undefined;
    return true;
  }

  /** Sends what the connection does not have yet. */
  send(): void {
    const connection = this.#connection;
    if (!connection?.isOpen) return;
    this.#options.audio.send({
      append: ({ data }) => connection.append(data),
      commit: () => {
        connection.commit();
        // Further speech does not put off the answer to the first.
        this.#answerTimer ??= this.#awaitAnswer();
      },
    });
  }

  close(): void {
    this.#stopWaiting();
    this.#connection?.close();
  }

  get #answerMs(): number {
    return this.isTrial ? TRIAL_TIMEOUT_MS : ANSWER_TIMEOUT_MS;
  }

  #awaitAnswer(): ReturnType<typeof setTimeout> {
    return setTimeout(() => this.#giveUp("it did not answer in time"), this.#answerMs);
  }

  #stopWaiting(): void {
    clearTimeout(this.#answerTimer);
    this.#answerTimer = undefined;
  }

  #giveUp(why: string): void {
    this.#gaveUp = why;
    this.#connection?.close();
  }

  #answered(text: string, language: string | undefined): void {
    const { audio, onAnswer } = this.#options;
    const { voicedMs, audioMs } = audio.oldest;
    if (text !== "") this.#isProven = true;
    else if (this.isTrial && voicedMs >= CLEAR_SPEECH_MS) {
      this.#heardNothing = true;
      this.#giveUp("it heard nothing in clear speech");
      return;
    }
    audio.answerUtterance();
    this.#stopWaiting();
    if (audio.awaitsAnswer) this.#answerTimer = this.#awaitAnswer();
    onAnswer({ text, language, audioMs, voicedMs });
  }
}
