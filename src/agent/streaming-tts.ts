import { type APIConnectOptions, shortuuid } from "@livekit/agents";
import { ChunkedStream, TTS } from "@livekit/agents-plugin-openai";
import type { AudioFrame } from "@livekit/rtc-node";
import type OpenAI from "openai";
import type { Failover } from "../providers/failover.ts";
import { redactProviderError } from "../providers/provider-errors.ts";
import type { VoiceServer } from "../providers/voice-server.ts";
import { RoomSound } from "./room-sound.ts";

/**
 * 60 ms in frames of 20 ms: so much is there before the first is played. A sound that comes packet
 * by packet would else pause, audibly, after the first of them.
 */
const FIRST_FRAMES = 3;

export interface VoiceOptions {
  /** For the plugin, which sends nothing by it, and names the model in its figures. */
  client: OpenAI;
  model: string;
  servers: Failover<VoiceServer>;
}

/**
 * Text-to-speech over OpenAI's API, in whatever format it arrives, and played while it arrives. The
 * plugin's own class waits for the whole sentence before the first frame, and plays any bytes.
 */
export class StreamingTts extends TTS {
  override label = "parley.StreamingTts";
  readonly #servers: Failover<VoiceServer>;
  readonly #closed = new AbortController();

  constructor({ client, model, servers }: VoiceOptions) {
    super({ client, model, apiKey: "unused" });
    this.#servers = servers;
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
    return new SpeechRequest(text, this, this.#servers, connOptions, signal);
  }

  override async close(): Promise<void> {
    this.#closed.abort();
    await super.close();
  }
}

class SpeechRequest extends ChunkedStream {
  override label = "parley.SpeechRequest";
  readonly #owner: TTS;
  readonly #servers: Failover<VoiceServer>;

  constructor(
    text: string,
    owner: TTS,
    servers: Failover<VoiceServer>,
    connOptions?: APIConnectOptions,
    signal?: AbortSignal,
  ) {
    // The plugin's class awaits this promise for the whole response; `run` below sends the request.
    super(owner, text, Promise.resolve(), connOptions, signal);
    this.#owner = owner;
    this.#servers = servers;
  }

  protected override async run(): Promise<void> {
    const signal = this.abortSignal;
    const requestId = shortuuid();
    const send = (frames: AudioFrame[], final = false) => {
      for (const [index, frame] of frames.entries()) {
        const isLast = final && index === frames.length - 1;
        this.queue.put({ requestId, segmentId: requestId, frame, final: isLast });
      }
    };
    using sound = new RoomSound();
    try {
      const { pieces } = await this.#servers.run(
        (server) => server.speak(this.inputText, signal),
        signal,
      );
      const frames: AudioFrame[] = [];
      let isPlaying = false;
      for await (const piece of pieces) {
        frames.push(...sound.push(piece));
        isPlaying ||= frames.length >= FIRST_FRAMES;
        if (isPlaying) send(frames.splice(0));
      }
      send([...frames, ...sound.end()], true);
    } catch (error) {
      if (!signal.aborted) this.#report(redactProviderError("tts", error));
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
      // Nobody listens any more once the session has closed, and an error without a listener throws.
    }
  }
}
