import { availableParallelism } from "node:os";
import type { ChatHistoryItem, ChatModelFunctions, LlamaGrammar, LlamaModel } from "node-llama-cpp";
import type { EngineSettings } from "../domain/engine-settings.ts";
import type { LocalLlmModel } from "../domain/model.ts";
import { Failure, messageOf } from "../errors.ts";
import { once } from "../lib/lazy.ts";
import { loadFailure } from "./check-model.ts";
import { FairQueue } from "./fair-queue.ts";
import { loadLlama } from "./native-libraries.ts";
import { refusal } from "./openai-http.ts";
import { SequencePool } from "./sequence-pool.ts";

/** What a language model is asked for. */
export interface AnswerRequest {
  history: readonly ChatHistoryItem[];
  functions?: ChatModelFunctions | undefined;
  /** The JSON schema that the answer must conform to; "json" is any JSON. */
  schema?: "json" | Record<string, unknown> | undefined;
  maxTokens?: number | undefined;
  temperature: number;
  topP?: number | undefined;
  seed?: number | undefined;
  stop: readonly string[];
  frequencyPenalty?: number | undefined;
  presencePenalty?: number | undefined;
  /** The client whose turn it takes in the queue, and whose conversation it continues. */
  client: string | undefined;
  signal: AbortSignal;
  onText: (text: string) => void;
}

export interface Answer {
  finish: "stop" | "length" | "tool_calls";
  calls: { name: string; params: unknown }[];
  promptTokens: number;
  /** Tokens of the prompt that were in the KV cache from earlier requests of the conversation. */
  cachedTokens: number;
  completionTokens: number;
}

/** A loaded language model. */
export interface LanguageModel extends AsyncDisposable {
  /** @throws the signal's reason, or a Failure for a conversation that does not fit */
  answer(request: AnswerRequest): Promise<Answer>;
}

/** The most tokens of a conversation that the model sees: about half an hour of speech. */
const MAX_CONTEXT_TOKENS = 4096;
/** The most conversations whose KV cache is kept, and that are answered at the same time. */
const MAX_SEQUENCES = 4;
/** The share of free memory that these KV caches may take. */
const MEMORY_SHARE = 0.3;
/** Answers are spoken; this is more than anyone listens to at once. */
const DEFAULT_MAX_TOKENS = 1024;

/** Returns a function that loads language models, all with one instance of llama.cpp. */
export function languageModelLoader({
  contextTokens = MAX_CONTEXT_TOKENS,
  parallel = MAX_SEQUENCES,
}: EngineSettings): (local: LocalLlmModel) => Promise<LanguageModel> {
  const runtime = once(loadLlama);
  /** @throws Failure that says why the model cannot be loaded */
  return async (local) => {
    const { library, llama, errors } = await runtime();
    errors.length = 0;
    let model: LlamaModel | undefined;
    try {
      model = await llama.loadModel({ modelPath: local.model });
      const context = await model.createContext({
        contextSize: { max: contextTokens },
        sequences: await affordableSequences(model, contextTokens, parallel),
      });
      return languageModel(model, new SequencePool(library, model, context));
    } catch (error) {
      await model?.dispose();
      const reason = [...new Set([...errors, messageOf(error)])].join("; ");
      throw new Failure("unavailable", loadFailure(local, reason), { cause: error });
    }
  };
}

function languageModel(model: LlamaModel, pool: SequencePool): LanguageModel {
  const queue = new FairQueue(pool.size);
  let anonymous = 0;
  return {
    answer: (request) => {
      const client = request.client ?? `anonymous-${++anonymous}`;
      return queue.run(client, () => answer(request, pool, grammars(model.llama)), request.signal);
    },
    [Symbol.asyncDispose]: () => model.dispose(),
  };
}

async function affordableSequences(
  model: LlamaModel,
  contextTokens: number,
  parallel: number,
): Promise<number> {
  const { free } = await model.llama.getRamState();
  // More sequences than processors would only slow each other down.
  const max = Math.min(parallel, availableParallelism());
  for (let sequences = max; sequences > 1; sequences--) {
    const { cpuRam, gpuVram } = await model.fileInsights.estimateContextResourceRequirements({
      contextSize: Math.min(contextTokens, model.trainContextSize),
      modelGpuLayers: model.gpuLayers,
      sequences,
    });
    if (cpuRam + gpuVram < free * MEMORY_SHARE) return sequences;
  }
  return 1;
}

type Grammars = (schema: NonNullable<AnswerRequest["schema"]>) => Promise<LlamaGrammar>;

function grammars(llama: LlamaModel["llama"]): Grammars {
  return (schema) =>
    schema === "json"
      ? llama.getGrammarFor("json")
      : llama.createGrammarForJsonSchema(
          schema as Parameters<typeof llama.createGrammarForJsonSchema>[0],
        );
}

/** node-llama-cpp's error for instructions that leave no room for a conversation. */
const TOO_LONG = /compress chat history/;

const FINISH = {
  eogToken: "stop",
  stopGenerationTrigger: "stop",
  customStopTrigger: "stop",
  abort: "stop",
  functionCalls: "tool_calls",
  maxTokens: "length",
} as const;

async function answer(
  request: AnswerRequest,
  pool: SequencePool,
  grammarFor: Grammars,
): Promise<Answer> {
  const grammar = request.schema === undefined ? undefined : await grammarFor(request.schema);
  const slot = pool.acquire(request.history, request.client);
  const tokensBefore = slot.sequence.tokenMeter.getState();
  try {
    const result = await slot.chat.generateResponse(slot.historyFor(request.history), {
      onTextChunk: request.onText,
      signal: request.signal,
      maxTokens: request.maxTokens ?? DEFAULT_MAX_TOKENS,
      temperature: request.temperature,
      topP: request.topP,
      seed: request.seed,
      customStopTriggers: request.stop,
      // Reasoning is not spoken: the listener would wait for it in silence.
      budgets: { thoughtTokens: 0 },
      repeatPenalty: {
        frequencyPenalty: request.frequencyPenalty,
        presencePenalty: request.presencePenalty,
      },
      // The rest has to be evaluated again, which takes long. Half the context makes this rarest.
      contextShift: { size: Math.floor(slot.sequence.contextSize / 2) },
      lastEvaluationContextWindow: { history: slot.windowFor(request.history) },
      ...(grammar ? { grammar } : { functions: request.functions }),
    });
    const used = slot.sequence.tokenMeter.diff(tokensBefore);
    slot.keep(result);
    const total = Math.max(slot.sequence.nextTokenIndex, used.usedInputTokens);
    const promptTokens = Math.max(used.usedInputTokens, total - used.usedOutputTokens);
    return {
      finish: FINISH[result.metadata.stopReason],
      calls: (result.functionCalls ?? []).map(({ functionName, params }) => ({
        name: functionName,
        params,
      })),
      promptTokens,
      cachedTokens: promptTokens - used.usedInputTokens,
      completionTokens: used.usedOutputTokens,
    };
  } catch (error) {
    if (!TOO_LONG.test(messageOf(error))) throw error;
    throw refusal("invalid", "The instructions are too long for this model.", {
      code: "context_length_exceeded",
      param: "messages",
    });
  } finally {
    pool.release(slot);
  }
}
