import type { LlamaContext, LlamaContextSequence, Token } from "node-llama-cpp";
import type { PromptReader } from "./prompt-reader.ts";

/** A prompt, as far as it decides which KV cache suits it. */
export interface PoolRequest {
  tokens: readonly Token[];
  /** So many tokens at the beginning are instructions, which other conversations may share. */
  instructionTokens: number;
  client: string | undefined;
}

/** One of llama.cpp's sequences: the KV cache of one conversation. */
export interface Slot {
  readonly sequence: LlamaContextSequence;
  client: string | undefined;
}

interface FreeSlot {
  slot: Slot;
  /** Work on the KV cache while nobody needs it. */
  background: { done: Promise<void>; stop: AbortController } | undefined;
}

/**
 * llama.cpp's sequences. A request gets the one that already holds most of its conversation, so that
 * only what is new has to be read.
 */
export class SequencePool {
  /** The one released longest ago is first. */
  readonly #free: FreeSlot[];
  readonly #reader: PromptReader;
  readonly size: number;

  constructor(context: LlamaContext, reader: PromptReader) {
    this.#reader = reader;
    this.size = context.totalSequences;
    this.#free = Array.from({ length: this.size }, () => ({
      slot: { sequence: context.getSequence(), client: undefined },
      background: undefined,
    }));
  }

  /** Takes the free slot that fits best; of equals, the one released longest ago. */
  async acquire(request: PoolRequest): Promise<Slot> {
    const scores = this.#free.map(({ slot }) => this.#score(slot, request));
    const [best] = this.#free.splice(scores.indexOf(Math.max(...scores)), 1);
    if (!best) throw new Error("more requests than sequences");
    best.background?.stop.abort();
    await best.background?.done;
    best.slot.client = request.client;
    return best.slot;
  }

  /**
   * To be called when the request has ended, also when it failed.
   *
   * @param prepare makes the KV cache ready for the next turn; it ends early if the turn comes, and
   *   does not throw
   */
  release(slot: Slot, prepare: (signal: AbortSignal) => Promise<void>): void {
    const stop = new AbortController();
    this.#free.push({ slot, background: { done: prepare(stop.signal), stop } });
  }

  /** How much of a conversation this slot can reuse; higher is better. */
  #score({ sequence, client }: Slot, request: PoolRequest): number {
    const cached = this.#reader.cached(sequence, request.tokens);
    if (cached > request.instructionTokens) return 3 + cached;
    if (request.client !== undefined && request.client === client) return 3;
    // A prompt that goes on from all that was read loses nothing, as after a request that was aborted.
    if (cached > 0 && cached === sequence.nextTokenIndex) return 3;
    return sequence.nextTokenIndex === 0 ? 2 : cached / request.tokens.length;
  }
}
