/** Writes numbers of any width, the highest bit first. */
export class BitWriter {
  #bytes = new Uint8Array(4096);
  #length = 0;
  #bits = 0;
  #held = 0;

  /** The lowest `width` bits of a number, at most 32. */
  write(value: number, width: number): void {
    for (let left = width; left > 0; ) {
      const taken = Math.min(left, 8 - this.#held);
      const part = (value >>> (left - taken)) & ((1 << taken) - 1);
      this.#bits = (this.#bits << taken) | part;
      this.#held += taken;
      left -= taken;
      if (this.#held === 8) this.#push();
    }
  }

  /** So many zeros, and a one. */
  unary(zeros: number): void {
    for (let left = zeros; left > 0; left -= 32) this.write(0, Math.min(32, left));
    this.write(1, 1);
  }

  /** Zeros up to the next byte. */
  align(): void {
    if (this.#held > 0) this.write(0, 8 - this.#held);
  }

  /** The whole bytes so far. */
  bytes(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #push(): void {
    if (this.#length === this.#bytes.length) {
      const larger = new Uint8Array(this.#length * 2);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes[this.#length++] = this.#bits;
    this.#bits = 0;
    this.#held = 0;
  }
}
