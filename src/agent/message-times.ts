/** A message of the agents library, or another item of its histories. */
interface Item {
  id: string;
  /** Ms since the epoch, by the machine's clock. */
  createdAt: number;
}

/** Smaller differences between two clocks are their rounding, in ms. */
const SMALLEST_STEP_MS = 1000;

/**
 * The times of a conversation's messages. The agents library sorts its histories by the machine's
 * clock, so after somebody sets that back, a new message would stand before all older ones. Here
 * each message gets its time on a clock that nobody sets, when it is first seen.
 */
export class MessageTimes {
  readonly #settled = new Map<string, number>();
  readonly #difference = clockDifference();

  /** Corrects the times of items and sorts them by these. */
  settle(items: Item[]): void {
    const step = clockDifference() - this.#difference;
    const correction = Math.abs(step) < SMALLEST_STEP_MS ? 0 : step;
    for (const item of items) {
      const time = this.#settled.get(item.id) ?? item.createdAt - correction;
      this.#settled.set(item.id, time);
      item.createdAt = time;
    }
    items.sort((a, b) => a.createdAt - b.createdAt);
  }
}

/** By how much the machine's clock is ahead of one that nobody sets, in ms. */
function clockDifference(): number {
  return Date.now() - performance.now();
}
