import { stt } from "@livekit/agents";

/** A code as the framework's events carry it; empty where the language is not known. */
export type EventLanguage = NonNullable<stt.SpeechEvent["alternatives"]>[0]["language"];

/** A streaming speech-to-text. A subclass decides what its streams make of the audio. */
export abstract class SttWrapper extends stt.STT {
  readonly #streams = new Set<stt.SpeechStream>();

  constructor() {
    super({ streaming: true, interimResults: true, alignedTranscript: false });
  }

  /** @param onClose to be called when the stream has ended */
  protected abstract createStream(onClose: () => void): stt.SpeechStream;

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
  }
}
