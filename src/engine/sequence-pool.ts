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
  /** Each with what resolves when it is free. */
  readonly #busy = new Map<Slot, PromiseWithResolvers<void>>();
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

  /**
   * Takes the free slot that fits best; of equals, the one released longest ago. It waits for a slot
   * where the same client's last request, which it may have just aborted, has read more of the prompt.
   */
  async acquire(request: PoolRequest): Promise<Slot> {
    for (let busy = this.#ownBusy(request); busy; busy = this.#ownBusy(request)) await busy;
    const scores = this.#free.map(({ slot }) => this.#score(slot, request));
    const [best] = this.#free.splice(scores.indexOf(Math.max(...scores)), 1);
    if (!best) throw new Error("more requests than sequences");
    this.#busy.set(best.slot, Promise.withResolvers());
    best.background?.stop.abort();
    best.slot.client = request.client;
    await best.background?.done;
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
    this.#busy.get(slot)?.resolve();
    this.#busy.delete(slot);
  }

  #ownBusy({ tokens, client }: PoolRequest): Promise<void> | undefined {
    const cached = ({ sequence }: Slot) => this.#reader.cached(sequence, tokens);
    const most = Math.max(...this.#free.map(({ slot }) => cached(slot)));
    const own = [...this.#busy].find(([slot]) => slot.client === client && cached(slot) > most);
    return own?.[1].promise;
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
