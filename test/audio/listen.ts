/** A stretch of audible sound; ms from the start of what was listened to. */
export interface Span {
  startMs: number;
  endMs: number;
}

/** When sound counts as heard. */
export interface ListenOptions {
  /** Loudness in dBFS (RMS) from which sound is audible; -50 by default. */
  thresholdDb?: number;
  /** Gaps up to this long are part of the span around them; 300 ms by default. */
  bridgeMs?: number;
  /** Spans shorter than this are clicks, not sound; 30 ms by default. */
  minimumMs?: number;
}

/** A loudness reading: when it was taken (any clock in ms) and the RMS then, 0 to 1 full scale. */
export interface LevelSample {
  atMs: number;
  rms: number;
}

const FRAME_MS = 10;

/** Loudness in dBFS of an RMS between 0 and 1; -Infinity for digital silence. */
export function decibels(rms: number): number {
  return 20 * Math.log10(rms);
}

/** RMS of 16-bit samples, 0 to 1 full scale; 0 for no samples. */
export function rmsOf(pcm: Int16Array): number {
  if (pcm.length === 0) return 0;
  let sum = 0;
  for (const sample of pcm) sum += sample * sample;
  return Math.sqrt(sum / pcm.length) / 32_768;
}

/** RMS of each 10 ms of mono PCM at `rate` Hz; a frame is stamped with its start. */
export function levels(pcm: Int16Array, rate: number): LevelSample[] {
  const size = Math.round((rate * FRAME_MS) / 1000);
  const out: LevelSample[] = [];
  for (let at = 0; at < pcm.length; at += size) {
    out.push({ atMs: (at / rate) * 1000, rms: rmsOf(pcm.subarray(at, at + size)) });
  }
  return out;
}

/**
 * The audible spans of a series of loudness readings in the order of time, such as a WebAudio
 * analyser gives. A reading lasts until the next one; the last lasts as long as the one before.
 */
export function audibleSpans(samples: readonly LevelSample[], options: ListenOptions = {}): Span[] {
  const { thresholdDb = -50, bridgeMs = 300, minimumMs = 30 } = options;
  const spans: Span[] = [];
  let step = FRAME_MS;
  for (const [index, { atMs, rms }] of samples.entries()) {
    const next = samples[index + 1];
    if (next !== undefined) step = next.atMs - atMs;
    if (decibels(rms) < thresholdDb) continue;
    const open = spans.at(-1);
    if (open !== undefined && atMs - open.endMs <= bridgeMs) open.endMs = atMs + step;
    else spans.push({ startMs: atMs, endMs: atMs + step });
  }
  return spans.filter(({ startMs, endMs }) => endMs - startMs >= minimumMs);
}

/** The audible spans of mono PCM at `rate` Hz. */
export function listen(pcm: Int16Array, rate: number, options: ListenOptions = {}): Span[] {
  return audibleSpans(levels(pcm, rate), options);
}
