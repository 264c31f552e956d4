import type { LlamaContext, LlamaContextSequence, Token } from "node-llama-cpp";
import { FairQueue } from "./fair-queue.ts";
import { reuseOf } from "./kv-reuse.ts";

/** How long one step of reading may take, in ms: nobody who speaks waits longer for a token. */
const STEP_MS = 250;
/** The same while somebody speaks, whose words would come slower than they are spoken. */
const STEP_BESIDE_SPEAKER_MS = 100;
const MIN_STEP_TOKENS = 16;
/** The first step, before the speed is known. */
const FIRST_STEP_TOKENS = 32;

export interface Reading {
  /** The tokens of the prompt that the KV cache held. */
  cached: number;
  /** How long the rest took, in ms. */
  tookMs: number;
}

/**
 * Reads prompts into the KV cache in small steps, one at a time for a model. So those who already
 * speak get their next token after each step, a request that is aborted leaves what was read for the
 * next try, and a client can see how far the reading is.
 */
export class PromptReader {
  readonly #steps = new FairQueue();
  readonly #canShift: boolean;
  #tokensPerMs: number | undefined;
  #speakers = 0;
  #progressAt = performance.now();

  constructor(context: LlamaContext) {
    const { fileInsights, fileInfo } = context.model;
    const { architecture } = fileInfo.metadata.general;
    const isMultiAxis = "dimension_sections" in (fileInfo.architectureMetadata.rope ?? {});
    // llama.cpp cannot move what these models remember, or ends the process when it is asked to.
    this.#canShift =
      !fileInsights.isRecurrent &&
      !fileInsights.isHybrid &&
      !isMultiAxis &&
      architecture !== "deepseek2";
  }

  /** When the model last did anything, by `performance.now()`. */
  get progressAt(): number {
    return this.#progressAt;
  }

  /** To be called for each token that is made. */
  progressed(): void {
    this.#progressAt = performance.now();
  }

  /** Somebody speaks until this is disposed. */
  speak(): Disposable {
    this.#speakers += 1;
    this.progressed();
    return {
      [Symbol.dispose]: () => {
        this.#speakers -= 1;
      },
    };
  }

  /** How many tokens of a prompt the KV cache holds. */
  cached(sequence: LlamaContextSequence, tokens: readonly Token[]): number {
    const { prefix, length } = reuseOf(sequence.contextTokens, tokens, this.#canShift);
    return prefix + length;
  }

  /**
   * Makes the KV cache hold these tokens.
   *
   * @param client whose turn each step takes
   * @param onProgress gets the number of tokens that are in the cache
   * @throws the signal's reason; what was read so far stays
   */
  async read(
    sequence: LlamaContextSequence,
    tokens: readonly Token[],
    client: string,
    signal: AbortSignal,
    onProgress?: (read: number) => void,
  ): Promise<Reading> {
    const begun = performance.now();
    signal.throwIfAborted();
    const cached = await this.#keepOnly(sequence, tokens);
    for (let at = cached; at < tokens.length; at = sequence.nextTokenIndex) {
      onProgress?.(at);
      await this.#steps.run(client, () => this.#step(sequence, tokens.slice(at)), signal);
      signal.throwIfAborted();
    }
    return { cached, tookMs: performance.now() - begun };
  }

  /** Removes from the KV cache what these tokens do not have. @returns how many of them it holds */
  async #keepOnly(sequence: LlamaContextSequence, tokens: readonly Token[]): Promise<number> {
    const { prefix, resume, length } = reuseOf(sequence.contextTokens, tokens, this.#canShift);
    // Some models can go back to certain places only. What follows such a place is read in steps.
    const beyond = Math.max(0, sequence.getRestoreToPrefixIndexEvaluationSize(prefix - 1));
    await sequence.eraseContextTokenRanges([
      { start: prefix - beyond, end: resume },
      { start: resume + length, end: sequence.nextTokenIndex },
    ]);
    return sequence.nextTokenIndex;
  }

  async #step(sequence: LlamaContextSequence, rest: Token[]): Promise<void> {
    const begun = performance.now();
    const stepMs = this.#speakers > 0 ? STEP_BESIDE_SPEAKER_MS : STEP_MS;
    const wanted =
      this.#tokensPerMs === undefined ? FIRST_STEP_TOKENS : Math.floor(this.#tokensPerMs * stepMs);
    const size = Math.min(Math.max(MIN_STEP_TOKENS, wanted), sequence.context.batchSize);
    const tokens = rest.slice(0, size);
    await sequence.evaluateWithoutGeneratingNewTokens(tokens);
    this.progressed();
    // A short rest says little about the speed.
    if (tokens.length < MIN_STEP_TOKENS) return;
    const tokensPerMs = tokens.length / Math.max(0.1, performance.now() - begun);
    this.#tokensPerMs =
      this.#tokensPerMs === undefined ? tokensPerMs : (this.#tokensPerMs + tokensPerMs) / 2;
  }
}
