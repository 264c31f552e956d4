import { type AudioBuffer, stt, type VAD, VADEventType, type VADStream } from "@livekit/agents";
import type { AudioFrame } from "@livekit/rtc-node";
import { wav } from "../lib/wav.ts";
import type { Failover } from "../providers/failover.ts";
import { redactProviderError } from "../providers/provider-errors.ts";
import type { Transcriber } from "../providers/transcription.ts";
import { durationOf, joinFrames } from "./audio-frames.ts";
import { type EventLanguage, SttWrapper } from "./stt-wrapper.ts";
import { UtteranceTurns } from "./utterance-turn.ts";
import { VOICED, VOICED_WINDOW_MS } from "./voiced-time.ts";

/** The VAD's probability of speech above which speech may be starting again. */
const MAYBE_SPEECH = 0.3;
/** Sample rate in Hz of the audio that is sent. */
const RATE = 16_000;
/**
 * How far the audio may be ahead of the VAD, in ms. More comes when a realtime connection has
 * failed and its audio is transcribed by requests.
 */
const MAX_AHEAD_MS = 1000;

/**
 * Speech-to-text through a server that takes one request per utterance. It adds interims, early
 * text and resilience: a failed request is a recoverable error and the session continues.
 */
export class UtteranceStt extends SttWrapper {
  label = "parley.UtteranceStt";
  readonly #model: string;
  readonly #servers: Failover<Transcriber>;
  /** The code of the language that is spoken; null where the server detects it. */
  readonly language: string | null;
  readonly #vad: VAD;

  /** @param model the first provider's */
  constructor(model: string, servers: Failover<Transcriber>, language: string | null, vad: VAD) {
    super();
    this.#model = model;
    this.#servers = servers;
    this.language = language;
    this.#vad = vad;
  }

  override get model(): string {
    return this.#model;
  }

  protected override createStream(onClose: () => void): stt.SpeechStream {
    return new UtteranceStream(this, this.#vad, onClose);
  }

  protected override async _recognize(
    audio: AudioBuffer,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<stt.SpeechEvent> {
    const { data, sampleRate } = joinFrames([audio].flat());
    const file = wav(data, sampleRate);
    const heard = await this.#servers.run((server) => server.transcribe(file, signal), signal);
    return speechEvent(stt.SpeechEventType.FINAL_TRANSCRIPT, heard.text, heard.language);
  }
}

function speechEvent(
  type: stt.SpeechEventType,
  text: string,
  language: string | undefined,
): stt.SpeechEvent {
  const alternative = { text, language: (language ?? "") as EventLanguage };
  return { type, alternatives: [{ ...alternative, startTime: 0, endTime: 0, confidence: 1 }] };
}

class UtteranceStream extends stt.SpeechStream {
  label = "parley.UtteranceStream";
  readonly #owner: UtteranceStt;
  readonly #vad: VAD;
  readonly #onClose: () => void;
  #mayBeSpeaking = false;
  #pushedMs = 0;
  /** How much of the audio the VAD has seen, and what waits for it to see more. */
  #detectedMs = 0;
  #onDetected = () => {};
  /** What the server heard last, as a BCP 47 tag. */
  #language: string | undefined;

  constructor(owner: UtteranceStt, vad: VAD, onClose: () => void) {
    super(owner, RATE);
    this.#owner = owner;
    this.#vad = vad;
    this.#onClose = onClose;
  }

  protected async run(): Promise<void> {
    const vad = this.#vad.stream();
    using turns = new UtteranceTurns<AudioFrame>({
      transcribe: (frames, signal) => this.#transcribe(frames, signal),
      language: () => this.#owner.language ?? this.#language?.split("-", 1)[0],
      onInterim: (text) => this.#emit(stt.SpeechEventType.INTERIM_TRANSCRIPT, text),
      onPreflight: (text) => this.#emit(stt.SpeechEventType.PREFLIGHT_TRANSCRIPT, text),
      onFinal: (text) => this.#emit(stt.SpeechEventType.FINAL_TRANSCRIPT, text),
      onError: (error) => this.#report(error),
      mayBeSpeaking: () => this.#mayBeSpeaking,
    });
    let isVadOpen = true;
    const closeVad = () => {
      if (isVadOpen) vad.close();
      isVadOpen = false;
    };
    this.abortSignal.addEventListener("abort", closeVad, { once: true });
    try {
      await Promise.all([this.#detectSpeech(vad, turns), this.#forwardInput(vad, turns)]);
    } finally {
      this.abortSignal.removeEventListener("abort", closeVad);
      closeVad();
      this.#onClose();
    }
  }

  async #detectSpeech(vad: VADStream, turns: UtteranceTurns<AudioFrame>): Promise<void> {
    for await (const event of vad) {
      this.#seen(event.timestamp);
      if (event.type === VADEventType.INFERENCE_DONE) {
        this.#mayBeSpeaking = event.probability > MAYBE_SPEECH;
        if (!this.#mayBeSpeaking) turns.unvoiced(this.#pushedMs - event.timestamp);
        if (event.probability > VOICED) turns.voiced(VOICED_WINDOW_MS);
      } else if (event.type === VADEventType.START_OF_SPEECH) {
        turns.speechStarted(this.#pushedMs - event.timestamp, event.speechDuration);
      } else if (event.type === VADEventType.END_OF_SPEECH) {
        turns.speechPaused(event.silenceDuration + event.inferenceDuration);
      }
    }
    this.#seen(Number.POSITIVE_INFINITY);
  }

  #seen(detectedMs: number): void {
    this.#detectedMs = detectedMs;
    this.#onDetected();
  }

  async #forwardInput(vad: VADStream, turns: UtteranceTurns<AudioFrame>): Promise<void> {
    for await (const frame of this.input) {
      if (typeof frame === "symbol") continue;
      turns.push(frame);
      this.#pushedMs += durationOf(frame);
      vad.pushFrame(frame);
      while (this.#pushedMs - this.#detectedMs > MAX_AHEAD_MS) await this.#detected();
    }
  }

  #detected(): Promise<void> {
    return new Promise((resolve) => {
      this.#onDetected = resolve;
    });
  }

  async #transcribe(frames: AudioFrame[], signal: AbortSignal): Promise<string> {
    const eitherSignal = AbortSignal.any([signal, this.abortSignal]);
    const event = await this.#owner.recognize(joinFrames(frames), eitherSignal);
    const [heard] = event.alternatives ?? [];
    this.#language = heard?.language || this.#language;
    return heard?.text ?? "";
  }

  #emit(type: stt.SpeechEventType, text: string): void {
    if (!this.queue.closed) this.queue.put(speechEvent(type, text, this.#language));
  }

  #report(error: unknown): void {
    if (this.abortSignal.aborted) return;
    this.#owner.reportError(redactProviderError("stt", error));
  }

  override close(): void {
    super.close();
    this.#onClose();
  }
}
