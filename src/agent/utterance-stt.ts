import { stt, type VAD, VADEventType, type VADStream } from "@livekit/agents";
import type { STT as OpenAiStt } from "@livekit/agents-plugin-openai";
import { AudioFrame } from "@livekit/rtc-node";
import { redactProviderError } from "../providers/provider-errors.ts";
import { durationOf } from "./audio-frames.ts";
import { SttWrapper } from "./stt-wrapper.ts";
import { UtteranceTurns } from "./utterance-turn.ts";

/** The VAD's probability of speech above which speech may be starting again. */
const MAYBE_SPEECH = 0.3;

/**
 * Speech-to-text through a server that takes one request per utterance. Wraps the plugin's `STT`
 * (without its realtime mode) and adds interims, early text and resilience: a failed request is a
 * recoverable error and the session continues.
 */
export class UtteranceStt extends SttWrapper {
  label = "parley.UtteranceStt";
  readonly #vad: VAD;

  constructor(recognizer: OpenAiStt, vad: VAD) {
    super(recognizer);
    this.#vad = vad;
  }

  protected override createStream(onClose: () => void): stt.SpeechStream {
    return new UtteranceStream(this, this.#vad, onClose);
  }
}

class UtteranceStream extends stt.SpeechStream {
  label = "parley.UtteranceStream";
  readonly #owner: UtteranceStt;
  readonly #vad: VAD;
  readonly #onClose: () => void;
  #mayBeSpeaking = false;
  #pushedMs = 0;

  constructor(owner: UtteranceStt, vad: VAD, onClose: () => void) {
    super(owner);
    this.#owner = owner;
    this.#vad = vad;
    this.#onClose = onClose;
  }

  protected async run(): Promise<void> {
    const vad = this.#vad.stream();
    using turns = new UtteranceTurns<AudioFrame>({
      transcribe: (frames, signal) => this.#transcribe(frames, signal),
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
      if (event.type === VADEventType.INFERENCE_DONE) {
        this.#mayBeSpeaking = event.probability > MAYBE_SPEECH;
      } else if (event.type === VADEventType.START_OF_SPEECH) {
        turns.speechStarted(this.#pushedMs - event.timestamp);
      } else if (event.type === VADEventType.END_OF_SPEECH) {
        turns.speechPaused(event.silenceDuration + event.inferenceDuration);
      }
    }
  }

  async #forwardInput(vad: VADStream, turns: UtteranceTurns<AudioFrame>): Promise<void> {
    for await (const frame of this.input) {
      if (typeof frame === "symbol") continue;
      turns.push(frame);
      this.#pushedMs += durationOf(frame);
      vad.pushFrame(frame);
    }
  }

  async #transcribe(frames: AudioFrame[], signal: AbortSignal): Promise<string> {
    const eitherSignal = AbortSignal.any([signal, this.abortSignal]);
    const event = await this.#owner.recognize(joinFrames(frames), eitherSignal);
    return event.alternatives?.[0]?.text ?? "";
  }

  #emit(type: stt.SpeechEventType, text: string): void {
    if (this.queue.closed) return;
    const language = "" as NonNullable<stt.SpeechEvent["alternatives"]>[0]["language"];
    this.queue.put({
      type,
      alternatives: [{ text, language, startTime: 0, endTime: 0, confidence: 1 }],
    });
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

/**
 * Joins frames into one. The library has a function for this whose time grows with the square of
 * the number of frames.
 */
function joinFrames(frames: AudioFrame[]): AudioFrame {
  const samples = frames.reduce((sum, frame) => sum + frame.data.length, 0);
  const data = new Int16Array(samples);
  let offset = 0;
  for (const frame of frames) {
    data.set(frame.data, offset);
    offset += frame.data.length;
  }
  const { sampleRate = 16_000, channels = 1 } = frames[0] ?? {};
  return new AudioFrame(data, sampleRate, channels, samples / channels);
}
