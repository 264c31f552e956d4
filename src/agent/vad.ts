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
