/** How much of a fault is tried: all of it, or what `npm test` has time for. */
export type Size = "full" | "short";

/** What came of a fault, as a line of the table. */
export interface Outcome {
  /** What a person sees: notices, states, close codes. */
  seen: string;
  /** How long it took, from the repair on, until a conversation was answered again, ms. */
  backMs: number;
  /** What had been acknowledged and is missing or different afterwards; a description each. */
  lost: string[];
}

/** Long enough for what is waited for inside a fault to run out first and say what it was. */
export const DEADLINE_MS = 180_000;

/** A line of the table. */
export interface Cell {
  /** What failed. */
  what: string;
  outcome: Outcome | Error;
}

/** Something that fails, and what has to hold then. */
export interface Fault {
  /** What fails, as the table names it. */
  what: string;
  /** Whether `npm test` tries it, too. */
  short?: boolean;
  /** After this it counts as a hang, ms; `DEADLINE_MS` by default. */
  deadlineMs?: number;
  /** @throws Error when something hangs, says nothing, or does not work again */
  run(size: Size): Promise<Outcome | Cell[]>;
}

/** A generator of numbers from 0 to 1 that a seed repeats (Mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
