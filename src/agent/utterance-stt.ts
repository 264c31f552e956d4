import { type AudioBuffer, stt, type VAD, VADEventType } from "@livekit/agents";
import type { STT as OpenAiStt } from "@livekit/agents-plugin-openai";
import { AudioFrame } from "@livekit/rtc-node";
import { inOwnWords } from "../providers/provider-errors.ts";
import { durationOf, UtteranceTurns } from "./utterance-turn.ts";

/** Probability of speech from which silence is no longer certain. */
const DOUBTFUL = 0.3;

/**
 * Speech-to-text through a server that answers one request an utterance. Wraps the plugin's
 * `STT` (without its realtime mode) and gives interims, early text and resilience to it: a failed
 * request is a recoverable error and the session goes on.
 */
export class UtteranceStt extends stt.STT {
  label = "parley.UtteranceStt";
  readonly recognizer: OpenAiStt;
  readonly #vad: VAD;
  readonly #streams = new Set<UtteranceStream>();

  constructor(recognizer: OpenAiStt, vad: VAD) {
    super({ streaming: true, interimResults: true, alignedTranscript: false });
    this.recognizer = recognizer;
    this.#vad = vad;
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
    const stream = new UtteranceStream(this, this.#vad, () => this.#streams.delete(stream));
    this.#streams.add(stream);
    return stream;
  }

  override async close(): Promise<void> {
    for (const stream of this.#streams) stream.close();
    await this.recognizer.close();
  }
}

class UtteranceStream extends stt.SpeechStream {
  label = "parley.UtteranceStream";
  readonly #owner: UtteranceStt;
  readonly #vad: VAD;
  readonly #onClose: () => void;
  #doubtful = false;

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
      mayBeSpeaking: () => this.#doubtful,
    });
    let pushedMs = 0;
    const listen = async () => {
      for await (const event of vad) {
        if (event.type === VADEventType.INFERENCE_DONE) {
          this.#doubtful = event.probability > DOUBTFUL;
        } else if (event.type === VADEventType.START_OF_SPEECH) {
          turns.speechStarted(pushedMs - event.timestamp);
        } else if (event.type === VADEventType.END_OF_SPEECH) {
          turns.speechPaused(event.silenceDuration + event.inferenceDuration);
        }
      }
    };
    const feed = async () => {
      for await (const frame of this.input) {
        if (typeof frame === "symbol") continue;
        turns.push(frame);
        pushedMs += durationOf(frame);
        vad.pushFrame(frame);
      }
    };
    let open = true;
    const close = () => {
      if (open) vad.close();
      open = false;
    };
    this.abortSignal.addEventListener("abort", close, { once: true });
    try {
      await Promise.all([listen(), feed()]);
    } finally {
      this.abortSignal.removeEventListener("abort", close);
      close();
      this.#onClose();
    }
  }

  async #transcribe(frames: AudioFrame[], signal: AbortSignal): Promise<string> {
    const either = AbortSignal.any([signal, this.abortSignal]);
    const event = await this.#owner.recognize(joined(frames), either);
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
    const failure = inOwnWords("speech recognition", error);
    this.#owner.emit("error", sttError(this.#owner.label, failure));
  }

  override close(): void {
    super.close();
    this.#onClose();
  }
}

/** One frame of all; the library's own merging takes time with the square of their number. */
function joined(frames: AudioFrame[]): AudioFrame {
  const samples = frames.reduce((sum, frame) => sum + frame.data.length, 0);
  const data = new Int16Array(samples);
  let at = 0;
  for (const frame of frames) {
    data.set(frame.data, at);
    at += frame.data.length;
  }
  const { sampleRate = 16_000, channels = 1 } = frames[0] ?? {};
  return new AudioFrame(data, sampleRate, channels, samples / channels);
}

/** The framework's error event; its type is not exported by name. */
export type SttError = Parameters<stt.STTCallbacks["error"]>[0];

/** The event by which the framework learns of a failure that the session survives. */
export function sttError(label: string, error: Error): SttError {
  return { type: "stt_error", timestamp: Date.now(), label, error, recoverable: true };
}
