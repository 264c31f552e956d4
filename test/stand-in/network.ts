import { DIMENSIONS } from "./features.ts";
import type { Template } from "./template.ts";

/** Cost of beginning or ending at the edge of a phrase, and inside of one. */
const AT_EDGE = 0.8;
const INSIDE = 1.8;
/** Frames at the start or the end of a word that a cut may have taken, and the cost of each. */
const CUT_FRAMES = 6;
const CUT_COST = 0.1;
/** Frames that voice activity detection may take from the start of a phrase: about 110 ms. */
const LATE_FRAMES = 7;
const INFINITE = Number.POSITIVE_INFINITY;

/** The phrases of a vocabulary in the form that decoding wants; states are template frames. */
export class Network {
  readonly texts: string[] = [];
  /** Word of each state, and the first word of a path that enters there. */
  readonly wordOf: Int32Array;
  readonly wordFrom: Int32Array;
  /** Costs of entering and leaving a phrase at each state; infinite where it cannot be. */
  readonly enter: Float32Array;
  readonly leave: Float32Array;
  readonly frames: Float32Array;
  /** First state of each phrase, and the number of states as the last entry. */
  readonly bounds: number[] = [0];

  constructor(templates: readonly Template[]) {
    for (const { length } of templates) this.bounds.push((this.bounds.at(-1) ?? 0) + length);
    const states = this.bounds.at(-1) ?? 0;
    this.wordOf = new Int32Array(states);
    this.wordFrom = new Int32Array(states);
    this.enter = new Float32Array(states).fill(INFINITE);
    this.leave = new Float32Array(states).fill(INFINITE);
    this.frames = new Float32Array(states * DIMENSIONS);
    for (const [index, template] of templates.entries())
      this.#add(template, this.bounds[index] ?? 0);
  }

  #add(template: Template, base: number): void {
    this.frames.set(template.frames, base * DIMENSIONS);
    for (const { text, first, end } of template.words) {
      const word = this.texts.push(text) - 1;
      this.wordOf.fill(word, base + first, base + end);
      const cuts = Math.min(CUT_FRAMES, Math.floor((end - first) / 2));
      const entering = first === 0 ? AT_EDGE : INSIDE;
      const leaving = end === template.length ? AT_EDGE : INSIDE;
      for (let cut = 0; cut <= cuts && first + cut < end; cut++) {
        this.#enterAt(base + first + cut, word, entering + cut * CUT_COST);
        this.leave[base + end - 1 - cut] = leaving + cut * CUT_COST;
      }
    }
    // A short first word that the cut took as a whole is still known from what follows it.
    const opening = this.wordOf[base] ?? 0;
    for (let cut = 0; cut <= LATE_FRAMES && cut < template.length / 2; cut++) {
      this.#enterAt(base + cut, opening, AT_EDGE + cut * CUT_COST);
    }
  }

  #enterAt(state: number, word: number, cost: number): void {
    if (cost >= (this.enter[state] ?? INFINITE)) return;
    this.enter[state] = cost;
    this.wordFrom[state] = word;
  }

  /** Euclidean distance between a state and a feature frame, about 0 to 2. */
  distance(state: number, frame: Float32Array): number {
    let sum = 0;
    const base = state * DIMENSIONS;
    for (let d = 0; d < DIMENSIONS; d++) {
      const difference = (this.frames[base + d] ?? 0) - (frame[d] ?? 0);
      sum += difference * difference;
    }
    return Math.sqrt(sum);
  }
}
