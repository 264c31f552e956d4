/** The part of a KV cache that a new prompt can use. */
export interface Reuse {
  /** So many tokens at the beginning of both are equal. */
  prefix: number;
  /** Where the cache goes on like the prompt after its prefix; what is in between fell out. */
  resume: number;
  /** So many tokens are equal from there. */
  length: number;
}

/** Moving fewer tokens than this saves too little. */
const MIN_MOVED = 32;

/**
 * Finds what a KV cache already holds of a prompt: its beginning, and after a gap as much as
 * possible of what follows. A conversation whose oldest turns fell out is found in this way.
 *
 * @param canShift whether the cache of this model allows a gap to be closed
 */
export function reuseOf(
  cached: readonly number[],
  prompt: readonly number[],
  canShift: boolean,
): Reuse {
  const prefix = equalFrom(cached, 0, prompt, 0);
  let best: Reuse = { prefix, resume: prefix, length: 0 };
  if (!canShift || prefix === 0) return best;
  const wanted = prompt[prefix];
  for (let resume = prefix + 1; resume < cached.length - best.length; resume++) {
    if (cached[resume] !== wanted) continue;
    const length = equalFrom(cached, resume, prompt, prefix);
    if (length > best.length && length >= MIN_MOVED) best = { prefix, resume, length };
  }
  return best;
}

/** How many tokens of two lists are equal, from a position in each. */
export function equalFrom(
  first: readonly number[],
  firstAt: number,
  second: readonly number[],
  secondAt: number,
): number {
  const longest = Math.min(first.length - firstAt, second.length - secondAt);
  let count = 0;
  while (count < longest && first[firstAt + count] === second[secondAt + count]) count++;
  return count;
}
