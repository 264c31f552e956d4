import type { VADEvent } from "@livekit/agents";
import * as silero from "@livekit/agents-plugin-silero";
import { InferenceSession } from "onnxruntime-node";
import { VAD_SILENCE_MS } from "./end-of-turn.ts";

/**
 * A short silence ends an utterance for the VAD, so that recognition starts early. Whether the turn
 * is over is decided later, by `end-of-turn.ts`.
 */
export const VAD_OPTIONS: ConstructorParameters<typeof silero.VAD>[1] = {
  minSpeechDuration: 50,
  minSilenceDuration: VAD_SILENCE_MS,
  prefixPaddingDuration: 300,
  maxBufferedSpeech: 60_000,
  activationThreshold: 0.5,
  sampleRate: 16_000,
  forceCPU: true,
};

/**
 * The plugin's VAD. Each session has its own, since it keeps every stream it ever made and a shared
 * one would grow. Only `close` ends its streams: the plugin's `endInput`, which the realtime STT
 * calls first, tries to close a locked stream and causes an unhandled rejection.
 */
export class SessionVad extends silero.VAD {
  override stream(): ReturnType<silero.VAD["stream"]> {
    const stream = super.stream();
    stream.endInput = () => {};
    return stream;
  }
}

/** Reports what the plugin's stream does with its audio, since the plugin does not. */
export interface ConnectionEvents {
  /** Called with each frame that an open connection takes. */
  onOpen: () => void;
  /** Called with each event of the connection's VAD, before the plugin gets it. */
  onVad: (event: VADEvent) => void;
}

/**
 * The VAD of a realtime STT. The plugin pushes audio to it only while its connection is open, so
 * each frame shows that it is.
 */
export class ConnectionVad extends SessionVad implements ConnectionEvents {
  onOpen = () => {};
  onVad: ConnectionEvents["onVad"] = () => {};

  override stream(): ReturnType<silero.VAD["stream"]> {
    const stream = super.stream();
    const push = stream.pushFrame.bind(stream);
    stream.pushFrame = (frame) => {
      this.onOpen();
      push(frame);
    };
    const next = stream.next.bind(stream);
    stream.next = async () => {
      const result = await next();
      if (!result.done) this.onVad(result.value);
      return result;
    };
    return stream;
  }
}

/** Loads the VAD's model, which the VADs of all sessions share. */
export function loadVadModel(path: string): Promise<InferenceSession> {
  return InferenceSession.create(path, {
    interOpNumThreads: 1,
    intraOpNumThreads: 1,
    executionMode: "sequential",
    // Loading blocks the event loop. More optimisation doubles that time and does not speed up
    // inference.
    graphOptimizationLevel: "basic",
    executionProviders: [{ name: "cpu" }],
  });
}
