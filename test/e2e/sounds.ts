import type { Level } from "./probe.ts";

/** Loudness from which on something is heard; the agent speaks at about 0.1. */
export const AUDIBLE = 0.01;

/** A stretch of sound without a long gap; ms since the epoch. */
export interface Sound {
  from: number;
  to: number;
  /** The loudest moment, RMS, 0 to 1. */
  peak: number;
}

/** Pauses between words and sentences belong to the speech around them, ms. */
const GAP_MS = 400;

/** When the page let audible sound out, and how loud. */
export function soundsIn(levels: readonly Level[]): Sound[] {
  const sounds: Sound[] = [];
  for (const { at, rms, playing } of levels) {
    if (!playing || rms < AUDIBLE) continue;
    const last = sounds.at(-1);
    if (last && at - last.to < GAP_MS) {
      last.to = at;
      last.peak = Math.max(last.peak, rms);
    } else sounds.push({ from: at, to: at, peak: rms });
  }
  return sounds;
}
