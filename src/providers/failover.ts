import { causesOf } from "./failure-facts.ts";

/** How long the second provider serves before the first is tried again, in ms. */
const AVOID_MS = 60_000;

/**
 * Sends the requests of one stage to its first provider, and to its second when the first has
 * failed. After a failure the second serves for a minute; then the first is tried again.
 *
 * `P` is whatever a request needs to reach a provider.
 */
export class Failover<P> {
  readonly #first: P;
  readonly #second: P | undefined;
  readonly #onSwitch: (error: unknown) => void;
  readonly #avoidMs: number;
  #avoidUntil = 0;

  /**
   * @param second undefined: a failure of the first stays one
   * @param onSwitch called when the second takes over, with the failure of the first
   */
  constructor(
    first: P,
    second: P | undefined,
    onSwitch: (error: unknown) => void = () => {},
    avoidMs: number = AVOID_MS,
  ) {
    this.#first = first;
    this.#second = second;
    this.#onSwitch = onSwitch;
    this.#avoidMs = avoidMs;
  }

  /** Whether a failure of the first provider can be made up for. */
  get hasSecond(): boolean {
    return this.#second !== undefined;
  }

  /**
   * Runs a request up to the point from which it can no longer be repeated elsewhere: the first
   * words or the first sound of an answer.
   *
   * @param attempt sends the request to a provider
   * @param signal an abort is no failure of the provider
   * @throws what the last attempt threw
   */
  async run<T>(attempt: (provider: P) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const second = this.#second;
    if (second === undefined) return attempt(this.#first);
    if (Date.now() < this.#avoidUntil) {
      try {
        return await attempt(second);
      } catch (error) {
        // Neither can be preferred, so the next request begins with the first again.
        this.#avoidUntil = 0;
        throw markSecond(error);
      }
    }
    try {
      return await attempt(this.#first);
    } catch (error) {
      if (signal?.aborted) throw error;
      this.#avoidUntil = Date.now() + this.#avoidMs;
      this.#onSwitch(error);
      return attempt(second).catch((failure) => {
        throw markSecond(failure);
      });
    }
  }
}

/** Notes on an error whose it is, so that a message about it names the right provider. */
export function markSecond<E>(error: E): E {
  return error instanceof Error ? Object.assign(error, { fromSecond: true }) : error;
}

/** Whether a failure is that of the second provider. */
export function isFromSecond(error: unknown): boolean {
  return causesOf(error).some(({ fromSecond }) => fromSecond === true);
}
