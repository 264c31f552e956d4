import { type APIConnectOptions, AudioByteStream, shortuuid } from "@livekit/agents";
import { ChunkedStream, TTS } from "@livekit/agents-plugin-openai";
import type OpenAI from "openai";
import { redactProviderError } from "../providers/provider-errors.ts";

/** OpenAI's `pcm` format: 24 kHz, mono, 16 bit. */
const SAMPLE_RATE = 24_000;
/** 20 ms. A pause takes effect at the next frame, so long frames would delay a barge-in. */
const FRAME_SAMPLES = SAMPLE_RATE / 50;

export interface VoiceOptions {
  client: OpenAI;
  model: string;
  voice: string;
}

/**
 * OpenAI's text-to-speech, played while it arrives. The plugin's own class waits for the whole
 * sentence before the first frame.
 */
export class StreamingTts extends TTS {
  override label = "parley.StreamingTts";
  readonly #options: VoiceOptions;
  readonly #closed = new AbortController();

  constructor(options: VoiceOptions) {
    super({ client: options.client, model: options.model, apiKey: "unused" });
    this.#options = options;
  }

  /** @throws nothing: failures are `error` events of this object, as the framework expects */
  override synthesize(
    text: string,
    connOptions?: APIConnectOptions,
    abortSignal?: AbortSignal,
  ): ChunkedStream {
    const signal = abortSignal
      ? AbortSignal.any([abortSignal, this.#closed.signal])
      : this.#closed.signal;
    return new SpeechRequest(text, this, this.#options, connOptions, signal);
  }

  override async close(): Promise<void> {
    this.#closed.abort();
    await super.close();
  }
}

class SpeechRequest extends ChunkedStream {
  override label = "parley.SpeechRequest";
  readonly #owner: TTS;
  readonly #options: VoiceOptions;

  constructor(
    text: string,
    owner: TTS,
    options: VoiceOptions,
    connOptions?: APIConnectOptions,
    signal?: AbortSignal,
  ) {
    // The plugin's class awaits this promise for the whole response; `run` below sends the request.
    super(owner, text, Promise.resolve(), connOptions, signal);
    this.#owner = owner;
    this.#options = options;
  }

  protected override async run(): Promise<void> {
    const requestId = shortuuid();
    const byteStream = new AudioByteStream(SAMPLE_RATE, 1, FRAME_SAMPLES);
    const send = (frames: ReturnType<typeof byteStream.write>, final = false) => {
      for (const [index, frame] of frames.entries()) {
        const isLast = final && index === frames.length - 1;
        this.queue.put({ requestId, segmentId: requestId, frame, final: isLast });
      }
    };
    try {
      const response = await this.#options.client.audio.speech.create(
        {
          input: this.inputText,
          model: this.#options.model,
          voice: this.#options.voice,
          response_format: "pcm",
        },
        { signal: this.abortSignal },
      );
      for await (const chunk of response.body ?? []) {
        send(byteStream.write(new Uint8Array(chunk).buffer));
      }
      send(byteStream.flush(), true);
    } catch (error) {
      if (!this.abortSignal.aborted) this.#report(redactProviderError("tts", error));
    } finally {
      this.queue.close();
    }
  }

  /** Emits an error event, since the framework handles no error that `run` throws. */
  #report(error: Error): void {
    const { label } = this.#owner;
    try {
      const event = { type: "tts_error", timestamp: Date.now(), label, error } as const;
      this.#owner.emit("error", { ...event, recoverable: false });
    } catch {
      // The framework's adapter emits the error again without a listener, which throws. The session
      // listens to this object directly and has already received the error.
    }
  }
}
