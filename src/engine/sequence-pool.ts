import { isDeepStrictEqual } from "node:util";
import type { LlamaChat, LlamaContext, LlamaContextSequence, LlamaModel } from "node-llama-cpp";
import type { Turn } from "./chat-history.ts";

type Library = typeof import("node-llama-cpp");
type Result = Awaited<ReturnType<LlamaChat["generateResponse"]>>;

/**
 * The states of several conversations. A request goes on from the state that has most of its
 * conversation, so that only what is new has to be read.
 */
export class SequencePool {
  readonly #free: Slot[];
  readonly size: number;

  constructor(library: Library, model: LlamaModel, context: LlamaContext) {
    const chatWrapper = library.resolveChatWrapper(model);
    this.size = context.totalSequences;
    this.#free = Array.from({ length: this.size }, () => {
      const sequence = context.getSequence();
      return new Slot(sequence, new library.LlamaChat({ contextSequence: sequence, chatWrapper }));
    });
  }

  /** The slot that fits best; there must be a free one. The longest unused come first. */
  take(history: readonly Turn[], client: string | undefined): Slot {
    const scores = this.#free.map((slot) => slot.fits(history, client));
    const best = scores.indexOf(Math.max(...scores));
    const [slot] = this.#free.splice(best, 1);
    if (!slot) throw new Error("more requests than sequences");
    slot.client = client;
    return slot;
  }

  /** To be called when the request is over, however it ended. */
  giveBack(slot: Slot): void {
    this.#free.push(slot);
  }
}

class Slot {
  readonly sequence: LlamaContextSequence;
  readonly chat: LlamaChat;
  client: string | undefined;
  /** The conversation whose state this is, with the model's last answer. */
  #history: Turn[] = [];
  /** What of it the model still sees: less, once it is longer than the context. */
  #window: Turn[] = [];

  constructor(sequence: LlamaContextSequence, chat: LlamaChat) {
    this.sequence = sequence;
    this.chat = chat;
  }

  /** How well a conversation goes on from here. */
  fits(history: readonly Turn[], client: string | undefined): number {
    const shared = this.#shared(history);
    // Many conversations begin alike: more than instructions in common makes it the same one.
    if (shared > 1) return 3 + shared;
    if (client !== undefined && client === this.client) return 3;
    return this.#history.length === 0 ? 2 : shared;
  }

  historyFor(history: readonly Turn[]): Turn[] {
    return structuredClone([...history]);
  }

  /**
   * The conversation without what fell out of the context earlier, so that a long one is not cut
   * anew, and read anew, at every turn; undefined where nothing fell out.
   */
  windowFor(history: readonly Turn[]): Turn[] | undefined {
    const shared = this.#shared(history);
    const changed = this.#history.length - shared;
    // The last answer may come back changed, where it was interrupted.
    if (this.#window.length >= this.#history.length || changed > 1) return undefined;
    return structuredClone([
      ...this.#window.slice(0, this.#window.length - changed),
      ...history.slice(shared),
    ]);
  }

  /** Remembers what the state is of, once a request was answered. */
  keep({ lastEvaluation }: Result): void {
    this.#history = lastEvaluation.cleanHistory;
    this.#window = lastEvaluation.contextWindow;
  }

  #shared(history: readonly Turn[]): number {
    const differs = this.#history.findIndex((turn, i) => !isDeepStrictEqual(turn, history[i]));
    return differs < 0 ? Math.min(this.#history.length, history.length) : differs;
  }
}
