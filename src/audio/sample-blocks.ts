/** Cuts samples that arrive in pieces of any length into blocks of one length. */
export class SampleBlocks {
  readonly #size: number;
  /** What is not a whole block yet. */
  rest = new Int16Array();

  /** @param size of a block, in samples */
  constructor(size: number) {
    this.#size = size;
  }

  /** @returns the blocks that are complete with these samples */
  push(pcm: Int16Array): Int16Array[] {
    const all = new Int16Array(this.rest.length + pcm.length);
    all.set(this.rest);
    all.set(pcm, this.rest.length);
    const blocks: Int16Array[] = [];
    let at = 0;
    for (; at + this.#size <= all.length; at += this.#size) {
      blocks.push(all.subarray(at, at + this.#size));
    }
    this.rest = all.slice(at);
    return blocks;
  }
}
