import { AudioFrame } from "@livekit/rtc-node";

/** A piece of audio; the agents library's `AudioFrame` fits. */
export interface Frame {
  samplesPerChannel: number;
  sampleRate: number;
}

/** In ms. */
export function durationOf(frame: Frame): number {
  return (frame.samplesPerChannel / frame.sampleRate) * 1000;
}

/** In ms. */
export function totalDuration(frames: readonly Frame[]): number {
  return frames.reduce((ms, frame) => ms + durationOf(frame), 0);
}

/**
 * Joins frames into one. The library has a function for this whose time grows with the square of
 * the number of frames.
 */
export function joinFrames(frames: readonly AudioFrame[]): AudioFrame {
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
