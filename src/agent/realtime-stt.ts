import type { stt, VAD } from "@livekit/agents";
import type { Notice } from "../domain/transcript.ts";
import type { TranscriptionOptions } from "../providers/realtime-transcription.ts";
import { ReconnectingStream } from "./reconnecting-stream.ts";
import { SttWrapper } from "./stt-wrapper.ts";
import type { UtteranceStt } from "./utterance-stt.ts";

export interface RealtimeSttOptions {
  server: TranscriptionOptions;
  vad: VAD;
  /** What takes over when realtime transcription does not work. */
  requests?: UtteranceStt | undefined;
  /** Called when it has taken over, with the reason. */
  onSwitch(why: string, error: Error): void;
  onNotice(notice: Notice): void;
}

/**
 * Speech-to-text over OpenAI's realtime transcription WebSocket. It outlives connections: while one
 * is away, what is said is kept, and no conversation ends because of it. Many servers open this
 * WebSocket and speak another protocol on it, so until the first transcript one failure is enough
 * for requests to take over, if there are any.
 */
export class RealtimeStt extends SttWrapper {
  label = "parley.RealtimeStt";
  readonly options: RealtimeSttOptions;
  #hasSwitched = false;

  constructor(options: RealtimeSttOptions) {
    super();
    this.options = options;
    options.requests?.on("error", (event) => this.emit("error", event));
  }

  override get model(): string {
    return this.options.server.model;
  }

  protected override async _recognize(): Promise<never> {
    throw new Error("realtime transcription takes streams only");
  }

  protected override createStream(onClose: () => void): stt.SpeechStream {
    return new ReconnectingStream(this, onClose);
  }

  /** Tells once that requests have taken over. */
  reportSwitch(why: string, error: Error): void {
    if (!this.#hasSwitched) this.options.onSwitch(why, error);
    this.#hasSwitched = true;
  }

  override async close(): Promise<void> {
    await super.close();
    await this.options.requests?.close();
    this.options.requests?.removeAllListeners("error");
  }
}
