import { availableParallelism } from "node:os";
import type {
  ChatHistoryItem,
  ChatModelFunctions,
  GbnfJsonSchema,
  LlamaContext,
  LlamaGrammar,
  LlamaModel,
} from "node-llama-cpp";
import type { EngineSettings } from "../domain/engine-settings.ts";
import type { LocalLlmModel } from "../domain/model.ts";
import { Failure, messageOf } from "../errors.ts";
import { once } from "../lib/lazy.ts";
import { type Answer, answer, type Listener, type Means, tokenBias } from "./answer.ts";
import { loadFailure } from "./check-model.ts";
import { FairQueue } from "./fair-queue.ts";
import { type LlamaGpu, type LlamaRuntime, loadLlama } from "./native-libraries.ts";
import { type Prompt, PromptBuilder } from "./prompt.ts";
import { PromptReader } from "./prompt-reader.ts";
import { SequencePool, type Slot } from "./sequence-pool.ts";
import { threadsFor } from "./threads.ts";

/** What a language model is asked for. */
export interface AnswerRequest {
  history: readonly ChatHistoryItem[];
  functions: ChatModelFunctions | undefined;
  /** Whether the answer has to be a call of a function. */
  mustCall: boolean;
  /** The most calls in one answer. */
  maxCalls: number | undefined;
  /** The schema that the answer must conform to; "json" is any JSON object. */
  schema: "json" | GbnfJsonSchema | undefined;
  /** 0: the conversation is read, and nothing is answered. Undefined: until the context is full. */
  maxTokens: number | undefined;
  temperature: number;
  topP: number | undefined;
  seed: number | undefined;
  stop: readonly string[];
  frequencyPenalty: number | undefined;
  presencePenalty: number | undefined;
  /** What is added to the logits of tokens. */
  biases: readonly (readonly [token: number, bias: number])[];
  /** The client whose turn it takes in the queue, and whose conversation it continues. */
  client: string | undefined;
}

/** A request that fits the model, and can be answered. */
export interface PreparedAnswer {
  readonly promptTokens: number;
  /** @throws the signal's reason */
  run(listener: Listener): Promise<Answer>;
}

/** What a model has done since it was loaded. Times are in ms. */
export type ChatTotals = Pick<
  Answer,
  "promptTokens" | "cachedTokens" | "completionTokens" | "promptMs" | "completionMs"
> & { answers: number };

/** A loaded language model. */
export interface LanguageModel extends AsyncDisposable {
  readonly totals: Readonly<ChatTotals>;
  /** When it last read or wrote a token, by `performance.now()`. */
  readonly progressAt: number;
  /** @throws Failure for a conversation that does not fit, before anything is read */
  prepare(request: AnswerRequest): Promise<PreparedAnswer>;
}

/** The most tokens of a conversation that the model sees: about half an hour of speech. */
const MAX_CONTEXT_TOKENS = 4096;
/** The most conversations whose KV cache is kept, and that are answered at the same time. */
const MAX_SEQUENCES = 4;
/** The share of free memory that these KV caches may take. */
const MEMORY_SHARE = 0.3;

/**
 * Returns a function that loads language models, all with one instance of llama.cpp.
 *
 * @param gpu decides what it computes on, once
 */
export function languageModelLoader(
  { contextTokens = MAX_CONTEXT_TOKENS, parallel, threads }: EngineSettings,
  gpu: () => Promise<LlamaGpu>,
): (local: LocalLlmModel) => Promise<LanguageModel> {
  const runtime = once(async () => loadLlama(await gpu(), threadsFor("llm", threads)));
  /** @throws Failure that says why the model cannot be loaded */
  return async (local) => {
    const { library, llama, errors } = await runtime();
    errors.length = 0;
    let model: LlamaModel | undefined;
    try {
      model = await llama.loadModel({ modelPath: local.model });
      const context = await model.createContext({
        contextSize: { max: contextTokens },
        sequences: parallel ?? (await affordableSequences(model, contextTokens)),
        // Models with sliding windows could not go back to the beginning of a turn otherwise.
        swaFullCache: true,
      });
      return new LlamaLanguageModel(library, context, contextTokens);
    } catch (error) {
      await model?.dispose();
      const reason = [...new Set([...errors, messageOf(error)])].join("; ");
      throw new Failure("unavailable", loadFailure(local, reason), { cause: error });
    }
  };
}

async function affordableSequences(model: LlamaModel, contextTokens: number): Promise<number> {
  const { free } = await model.llama.getRamState();
  // More sequences than processors would only slow each other down.
  const max = Math.min(MAX_SEQUENCES, availableParallelism());
  for (let sequences = max; sequences > 1; sequences--) {
    const { cpuRam, gpuVram } = await model.fileInsights.estimateContextResourceRequirements({
      contextSize: Math.min(contextTokens, model.trainContextSize),
      modelGpuLayers: model.gpuLayers,
      sequences,
      swaFullCache: true,
    });
    if (cpuRam + gpuVram < free * MEMORY_SHARE) return sequences;
  }
  return 1;
}

class LlamaLanguageModel implements LanguageModel {
  readonly totals: ChatTotals = {
    answers: 0,
    promptTokens: 0,
    cachedTokens: 0,
    promptMs: 0,
    completionTokens: 0,
    completionMs: 0,
  };
  readonly #library: LlamaRuntime["library"];
  readonly #model: LlamaModel;
  readonly #contextTokens: number;
  readonly #reader: PromptReader;
  readonly #prompts: PromptBuilder;
  readonly #pool: SequencePool;
  readonly #queue: FairQueue;
  #anonymous = 0;

  constructor(library: LlamaRuntime["library"], context: LlamaContext, contextTokens: number) {
    this.#library = library;
    this.#model = context.model;
    // llama.cpp rounds the size of a context up.
    this.#contextTokens = Math.min(contextTokens, context.contextSize);
    this.#reader = new PromptReader(context);
    this.#prompts = new PromptBuilder(library, this.#model, this.#contextTokens);
    this.#pool = new SequencePool(context, this.#reader);
    this.#queue = new FairQueue(this.#pool.size);
  }

  get progressAt(): number {
    return this.#reader.progressAt;
  }

  async prepare(request: AnswerRequest): Promise<PreparedAnswer> {
    const named = { ...request, client: request.client ?? `anonymous-${++this.#anonymous}` };
    const prompt = this.#prompts.build(named);
    const means: Means = {
      library: this.#library,
      reader: this.#reader,
      contextTokens: this.#contextTokens,
      grammar: await this.#grammar(request.schema),
      bias: tokenBias(this.#library, this.#model, request.biases),
    };
    return {
      promptTokens: prompt.tokens.length,
      run: (listener) =>
        this.#queue.run(
          named.client,
          () => this.#answer(named, prompt, means, listener),
          listener.signal,
        ),
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#model.dispose();
  }

  async #grammar(schema: AnswerRequest["schema"]): Promise<LlamaGrammar | undefined> {
    const { llama } = this.#model;
    if (schema === undefined) return undefined;
    return schema === "json"
      ? llama.getGrammarFor("json")
      : // The type of its parameter is for schemas that are known when this is compiled.
        llama.createGrammarForJsonSchema<GbnfJsonSchema>(schema as never);
  }

  async #answer(
    request: AnswerRequest & { client: string },
    prompt: Prompt,
    means: Means,
    listener: Listener,
  ): Promise<Answer> {
    const { tokens, instructionTokens } = prompt;
    const slot = await this.#pool.acquire({ tokens, instructionTokens, client: request.client });
    let answered: Answer | undefined;
    try {
      answered = await answer(request, prompt, slot, means, listener);
      this.#count(answered);
      return answered;
    } finally {
      const text = answered?.calls.length === 0 ? answered.text : undefined;
      this.#pool.release(slot, async (signal) => {
        if (text !== undefined) await this.#shift(request, prompt, text, slot, signal);
      });
    }
  }

  /** Makes room in the context for the next turn, while nobody waits for it. */
  async #shift(
    request: AnswerRequest & { client: string },
    prompt: Prompt,
    text: string,
    { sequence }: Slot,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      const next = this.#prompts.next(request, prompt, text);
      if (next) await this.#reader.read(sequence, next, request.client, signal);
    } catch {
      // The next turn came meanwhile, or meets the same error and reports it.
    }
  }

  #count(answered: Answer): void {
    this.totals.answers += 1;
    for (const name of COUNTED) this.totals[name] += answered[name];
  }
}

const COUNTED = [
  "promptTokens",
  "cachedTokens",
  "completionTokens",
  "promptMs",
  "completionMs",
] as const;
