import { type AudioBuffer, stt } from "@livekit/agents";
import type { STT as OpenAiStt } from "@livekit/agents-plugin-openai";

/** The framework's error event; its type is not exported by name. */
export type SttError = Parameters<stt.STTCallbacks["error"]>[0];

/**
 * A streaming speech-to-text around the plugin's `STT`. A subclass decides what its streams make of
 * the audio.
 */
export abstract class SttWrapper extends stt.STT {
  readonly recognizer: OpenAiStt;
  readonly #streams = new Set<stt.SpeechStream>();

  constructor(recognizer: OpenAiStt) {
    super({ streaming: true, interimResults: true, alignedTranscript: false });
    this.recognizer = recognizer;
  }

  /** @param onClose to be called when the stream has ended */
  protected abstract createStream(onClose: () => void): stt.SpeechStream;

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
    const stream = this.createStream(() => this.#streams.delete(stream));
    this.#streams.add(stream);
    return stream;
  }

  /** Reports a failure that the session survives to the framework. */
  reportError(error: Error): void {
    const { label } = this;
    const event = { type: "stt_error", timestamp: Date.now(), label, error } as const;
    this.emit("error", { ...event, recoverable: true });
  }

  override async close(): Promise<void> {
    for (const stream of this.#streams) stream.close();
    await this.recognizer.close();
  }
}
