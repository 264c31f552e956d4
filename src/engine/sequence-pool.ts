import { isDeepStrictEqual } from "node:util";
import type {
  ChatHistoryItem,
  LlamaChat,
  LlamaContext,
  LlamaContextSequence,
  LlamaModel,
} from "node-llama-cpp";

type Library = typeof import("node-llama-cpp");
type Result = Awaited<ReturnType<LlamaChat["generateResponse"]>>;

/**
 * llama.cpp's sequences, each with the KV cache of one conversation. A request gets the sequence
 * that already holds most of its conversation, so that only what is new has to be evaluated.
 */
export class SequencePool {
  /** The one released longest ago is first. */
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

  /** Takes the free slot that fits best; of equals, the one released longest ago. */
  acquire(history: readonly ChatHistoryItem[], client: string | undefined): Slot {
    const scores = this.#free.map((slot) => slot.score(history, client));
    const best = scores.indexOf(Math.max(...scores));
    const [slot] = this.#free.splice(best, 1);
    if (!slot) throw new Error("more requests than sequences");
    slot.client = client;
    return slot;
  }

  /** To be called when the request has ended, also when it failed. */
  release(slot: Slot): void {
    this.#free.push(slot);
  }
}

class Slot {
  readonly sequence: LlamaContextSequence;
  readonly chat: LlamaChat;
  client: string | undefined;
  /** The conversation in the KV cache, with the model's last answer. */
  #history: ChatHistoryItem[] = [];
  /** The part of it that the model still sees once it is longer than the context. */
  #window: ChatHistoryItem[] = [];

  constructor(sequence: LlamaContextSequence, chat: LlamaChat) {
    this.sequence = sequence;
    this.chat = chat;
  }

  /** How much of a conversation this slot can reuse; higher is better. */
  score(history: readonly ChatHistoryItem[], client: string | undefined): number {
    const shared = this.#sharedItems(history);
    // Different conversations may begin with the same instructions, but hardly share more.
    if (shared > 1) return 3 + shared;
    if (client !== undefined && client === this.client) return 3;
    return this.#history.length === 0 ? 2 : shared;
  }

  /** A copy that node-llama-cpp may change. */
  historyFor(history: readonly ChatHistoryItem[]): ChatHistoryItem[] {
    return structuredClone([...history]);
  }

  /**
   * The conversation without what fell out of the context earlier, so that a long one is not cut
   * at another place, and evaluated again, at every turn; undefined where nothing fell out.
   */
  windowFor(history: readonly ChatHistoryItem[]): ChatHistoryItem[] | undefined {
    const shared = this.#sharedItems(history);
    const changed = this.#history.length - shared;
    // Only the last answer may differ: an interrupted one comes back shortened.
    if (this.#window.length >= this.#history.length || changed > 1) return undefined;
    return structuredClone([
      ...this.#window.slice(0, this.#window.length - changed),
      ...history.slice(shared),
    ]);
  }

  /** Remembers what is in the KV cache after an answer. */
  keep({ lastEvaluation }: Result): void {
    this.#history = lastEvaluation.cleanHistory;
    this.#window = lastEvaluation.contextWindow;
  }

  #sharedItems(history: readonly ChatHistoryItem[]): number {
    const differs = this.#history.findIndex((item, i) => !isDeepStrictEqual(item, history[i]));
    return differs < 0 ? Math.min(this.#history.length, history.length) : differs;
  }
}
