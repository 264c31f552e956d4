/** Rate in Hz at which recognisers take audio. */
export const HEARING_RATE = 16_000;
/**
 * The most that one recognition takes, in s. Models refuse, or lose the end of, more than 30 s;
 * Moonshine's small ones, as sherpa-onnx 1.13.8 runs them, have no words for more than 9.2 s.
 */
export const LONGEST_S = { usual: 24, moonshine: 8 } as const;
/** How far back from the end a pause is looked for, of the whole. */
const SEARCHED = 1 / 3;
const WINDOW = HEARING_RATE / 10;

/**
 * Where to cut audio that is too long for one recognition: in the middle of the quietest tenth of a
 * second before the longest that may be.
 *
 * @param samples at `HEARING_RATE`, longer than `longestS`
 * @returns an index into the samples
 */
export function quietestCut(samples: Float32Array, longestS: number): number {
  const end = longestS * HEARING_RATE;
  let best = end;
  let least = Number.POSITIVE_INFINITY;
  for (let at = Math.round(end * (1 - SEARCHED)); at + WINDOW <= end; at += WINDOW / 2) {
    let energy = 0;
    for (let i = at; i < at + WINDOW; i++) energy += (samples[i] ?? 0) ** 2;
    if (energy <= least) {
      least = energy;
      best = at + WINDOW / 2;
    }
  }
  return best;
}
