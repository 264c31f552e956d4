/** Rate in Hz at which recognisers take audio. */
export const HEARING_RATE = 16_000;
/** The most that one recognition takes: models refuse, or lose the end of, more than 30 s. */
export const LONGEST_S = 24;
/** How far back from the end a pause is looked for. */
const SEARCHED_S = 8;
const WINDOW = HEARING_RATE / 10;

/**
 * Where to cut audio that is too long for one recognition: in the middle of the quietest tenth of a
 * second before the longest that may be.
 *
 * @param samples at `HEARING_RATE`, longer than `LONGEST_S`
 * @returns an index into the samples
 */
export function quietestCut(samples: Float32Array): number {
  const end = LONGEST_S * HEARING_RATE;
  let best = end;
  let least = Number.POSITIVE_INFINITY;
  for (let at = end - SEARCHED_S * HEARING_RATE; at + WINDOW <= end; at += WINDOW / 2) {
    let energy = 0;
    for (let i = at; i < at + WINDOW; i++) energy += (samples[i] ?? 0) ** 2;
    if (energy <= least) {
      least = energy;
      best = at + WINDOW / 2;
    }
  }
  return best;
}
