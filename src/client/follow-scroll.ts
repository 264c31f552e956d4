/** Within this distance of its end a list counts as being read at its end, px. */
const NEAR = 48;

/**
 * Keeps a scrolling list at its end while it grows, until the reader scrolls up; then a button
 * offers the way back.
 */
export class FollowScroll {
  readonly #box: HTMLElement;
  readonly #button: HTMLElement;
  readonly #hasLines: () => boolean;
  #following = true;

  /** @param hasLines until it has, what stands in its place is read from its beginning */
  constructor(box: HTMLElement, button: HTMLElement, hasLines: () => boolean) {
    this.#box = box;
    this.#button = button;
    this.#hasLines = hasLines;
    box.addEventListener("scroll", () => this.#read(), { passive: true });
    button.addEventListener("click", () => this.toEnd());
    // A smaller box (an opened keyboard, a notice) must not hide the last line.
    new ResizeObserver(() => this.grew()).observe(box);
  }

  /** To be called when the list has grown. */
  grew(): void {
    if (!this.#hasLines()) {
      this.#following = true;
      this.#button.hidden = true;
      return;
    }
    if (this.#following) this.#box.scrollTop = this.#box.scrollHeight;
    this.#button.hidden = this.#following;
  }

  toEnd(): void {
    this.#following = true;
    this.grew();
    this.#box.focus({ preventScroll: true });
  }

  #read(): void {
    if (!this.#hasLines()) return;
    const below = this.#box.scrollHeight - this.#box.scrollTop - this.#box.clientHeight;
    this.#following = below < NEAR;
    this.#button.hidden = this.#following;
  }
}
