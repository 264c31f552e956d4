import { DIMENSIONS, FeatureStream } from "./features.ts";
import { Network } from "./network.ts";
import { type Phrase, type Template, templateOf } from "./template.ts";

/** What a frame of unknown sound costs; a frame that fits its template costs clearly less. */
const UNKNOWN = 0.46;
/** Silence fits the background this much better than its distance from silence says. */
const SILENCE_WEIGHT = 0.5;
/** Cost of speaking slower or faster than the template, a frame. */
const WARP_COST = 0.06;
/** Paths this much worse than the best are given up. */
const BEAM = 7;
/** A word is certain once every path within this much of the best has it. */
const CERTAIN = 2.5;

const INFINITE = Number.POSITIVE_INFINITY;

/** The phrases that can be recognised; grows while decoders that began earlier go on unchanged. */
export class Vocabulary {
  readonly #templates = new Map<string, Template>();
  #network = new Network([]);

  constructor(phrases: readonly Phrase[] = []) {
    this.add(phrases);
  }

  /** Adds phrases; those that are known already stay as they are. */
  add(phrases: readonly Phrase[]): void {
    for (const phrase of phrases) {
      const key = JSON.stringify(phrase);
      if (!this.#templates.has(key)) this.#templates.set(key, templateOf(phrase));
    }
    this.#network = new Network([...this.#templates.values()]);
  }

  /** The words of this vocabulary that are heard in a recording (mono PCM at `rate` Hz). */
  recognise(pcm: Int16Array, rate: number): string {
    const recogniser = this.listen(rate);
    recogniser.push(pcm);
    return recogniser.finish().join(" ");
  }

  /** A recogniser of audio that arrives in pieces (mono PCM at `rate` Hz). */
  listen(rate: number): Recogniser {
    return new Recogniser(this.#network, rate);
  }
}

/**
 * Finds known phrases, or the words of them that a cut left, in audio that grows.
 *
 * One-stage dynamic programming for connected words (H. Ney, "The Use of a One-Stage Dynamic
 * Programming Algorithm for Connected Word Recognition", IEEE Trans. ASSP 32(2), 1984): every
 * frame of input is explained either by the background (silence, or any sound at a fixed cost) or
 * by a frame of a phrase, along the cheapest path. A path may enter a phrase at any word and leave
 * it after any word. So silence, coughs and unknown speech give nothing.
 */
export class Recogniser {
  readonly #network: Network;
  readonly #features: FeatureStream;
  readonly #cost: Float64Array;
  /** Input frame and state at which the path to each state entered its phrase. */
  readonly #enteredAt: Int32Array;
  readonly #enteredIn: Int32Array;
  readonly #active: boolean[];
  #background = 0;
  /** For each input frame, what the background's best path came from. */
  readonly #history: (Passage | undefined)[] = [];
  #certain: string[] = [];
  readonly #silence = new Float32Array(DIMENSIONS);

  constructor(network: Network, rate: number) {
    const states = network.wordOf.length;
    this.#network = network;
    this.#features = new FeatureStream(rate);
    this.#cost = new Float64Array(states).fill(INFINITE);
    this.#enteredAt = new Int32Array(states);
    this.#enteredIn = new Int32Array(states);
    this.#active = network.bounds.slice(1).map(() => false);
  }

  /** Listens to more audio. */
  push(pcm: Int16Array): void {
    for (const frame of this.#features.push(pcm)) this.#step(frame);
  }

  /** All words heard, once the audio is complete. */
  finish(): string[] {
    return this.#wordsBefore(this.#history.length);
  }

  /** The words that are certain already; later calls only append to them. */
  certain(): string[] {
    const words = this.#agreed();
    const known = this.#certain;
    const goesOn = words.length > known.length && known.every((word, i) => word === words[i]);
    if (goesOn) this.#certain = words;
    return [...this.#certain];
  }

  /** The first words of all paths that are about as good as the best. */
  #agreed(): string[] {
    let best = this.#background;
    for (const cost of this.#cost) if (cost < best) best = cost;
    const limit = best + CERTAIN;
    let common: string[] | undefined;
    if (this.#background <= limit) common = this.#wordsBefore(this.#history.length);
    // Of the paths that entered at the same place, the least advanced one has the fewest words.
    const slowest = new Map<number, number>();
    const { wordOf } = this.#network;
    for (let state = 0; state < this.#cost.length; state++) {
      if ((this.#cost[state] ?? INFINITE) > limit) continue;
      const entry = (this.#enteredAt[state] ?? 0) * wordOf.length + (this.#enteredIn[state] ?? 0);
      if (!slowest.has(entry)) slowest.set(entry, wordOf[state] ?? 0);
    }
    for (const [entry, word] of slowest) {
      const at = Math.floor(entry / wordOf.length);
      const first = this.#network.wordFrom[entry % wordOf.length] ?? 0;
      const words = [...this.#wordsBefore(at), ...this.#network.texts.slice(first, word)];
      common = common === undefined ? words : commonStart(common, words);
      if (common.length === 0) break;
    }
    return common ?? [];
  }

  #step(frame: Float32Array): void {
    const now = this.#history.length;
    const { bounds } = this.#network;
    const silence = SILENCE_WEIGHT * distanceTo(this.#silence, frame);
    const entry = this.#background;
    let best = entry + Math.min(UNKNOWN, silence);
    this.#background = best;
    let passage: Passage | undefined;
    for (let phrase = 0; phrase < this.#active.length; phrase++) {
      const from = bounds[phrase] ?? 0;
      const to = bounds[phrase + 1] ?? 0;
      // In silence no phrase begins; this keeps long silences cheap.
      if (!this.#active[phrase] && silence < UNKNOWN / 3) continue;
      const found = this.#advance(from, to, frame, entry, now);
      if (found.best < best) best = found.best;
      if (found.leaveCost < this.#background) {
        this.#background = found.leaveCost;
        passage = {
          enteredAt: this.#enteredAt[found.leaveState] ?? 0,
          first: this.#network.wordFrom[this.#enteredIn[found.leaveState] ?? 0] ?? 0,
          last: this.#network.wordOf[found.leaveState] ?? 0,
        };
      }
    }
    this.#history.push(passage);
    this.#prune(Math.min(best, this.#background) + BEAM);
  }

  /** Advances one phrase by one input frame, its states from last to first, in place. */
  #advance(from: number, to: number, frame: Float32Array, entry: number, now: number): Advance {
    const cost = this.#cost;
    const { enter, leave } = this.#network;
    const result: Advance = { best: INFINITE, leaveCost: INFINITE, leaveState: from };
    for (let state = to - 1; state >= from; state--) {
      let cheapest = (cost[state] ?? INFINITE) + WARP_COST;
      let source = state;
      const one = state > from ? (cost[state - 1] ?? INFINITE) : INFINITE;
      const two = state > from + 1 ? (cost[state - 2] ?? INFINITE) + WARP_COST : INFINITE;
      if (one <= cheapest) {
        cheapest = one;
        source = state - 1;
      }
      if (two < cheapest) {
        cheapest = two;
        source = state - 2;
      }
      const fresh = entry + (enter[state] ?? INFINITE);
      if (fresh === INFINITE && cheapest === INFINITE) continue;
      if (fresh < cheapest) {
        cheapest = fresh;
        this.#enteredAt[state] = now;
        this.#enteredIn[state] = state;
      } else {
        this.#enteredAt[state] = this.#enteredAt[source] ?? 0;
        this.#enteredIn[state] = this.#enteredIn[source] ?? 0;
      }
      const total = cheapest + this.#network.distance(state, frame);
      cost[state] = total;
      if (total < result.best) result.best = total;
      const leaving = total + (leave[state] ?? INFINITE);
      if (leaving < result.leaveCost) {
        result.leaveCost = leaving;
        result.leaveState = state;
      }
    }
    return result;
  }

  #prune(limit: number): void {
    const { bounds } = this.#network;
    for (let phrase = 0; phrase < this.#active.length; phrase++) {
      let alive = false;
      const to = bounds[phrase + 1] ?? 0;
      for (let state = bounds[phrase] ?? 0; state < to; state++) {
        if ((this.#cost[state] ?? INFINITE) > limit) this.#cost[state] = INFINITE;
        else alive = true;
      }
      this.#active[phrase] = alive;
    }
  }

  /** The words on the background's best path up to (without) an input frame. */
  #wordsBefore(frame: number): string[] {
    const parts: string[][] = [];
    for (let at = frame - 1; at >= 0; ) {
      const passage = this.#history[at];
      if (passage === undefined) {
        at--;
        continue;
      }
      parts.push(this.#network.texts.slice(passage.first, passage.last + 1));
      at = passage.enteredAt - 1;
    }
    return parts.reverse().flat();
  }
}

interface Advance {
  best: number;
  leaveCost: number;
  leaveState: number;
}

/** A way through one phrase: when it was entered, and its first and last word. */
interface Passage {
  enteredAt: number;
  first: number;
  last: number;
}

function commonStart(a: string[], b: string[]): string[] {
  const different = a.findIndex((word, index) => word !== b[index]);
  return different < 0 ? a : a.slice(0, different);
}

function distanceTo(point: Float32Array, frame: Float32Array): number {
  let sum = 0;
  for (let d = 0; d < DIMENSIONS; d++) sum += ((point[d] ?? 0) - (frame[d] ?? 0)) ** 2;
  return Math.sqrt(sum);
}
