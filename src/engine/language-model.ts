import { availableParallelism } from "node:os";
import type { ChatModelFunctions, LlamaGrammar, LlamaModel } from "node-llama-cpp";
import type { LocalLlmModel } from "../domain/model.ts";
import { Failure, messageOf } from "../errors.ts";
import { once } from "../lib/once.ts";
import type { Turn } from "./chat-history.ts";
import { FairQueue } from "./fair-queue.ts";
import { loadFailure } from "./load-failure.ts";
import { refusal } from "./openai-error.ts";
import { SequencePool } from "./sequence-pool.ts";
import { threads } from "./sherpa.ts";

export interface ChatRequest {
  history: readonly Turn[];
  functions?: ChatModelFunctions | undefined;
  /** The form that the answer has to have. */
  schema?: "json" | Record<string, unknown> | undefined;
  maxTokens?: number | undefined;
  temperature: number;
  topP?: number | undefined;
  seed?: number | undefined;
  stop: readonly string[];
  frequencyPenalty?: number | undefined;
  presencePenalty?: number | undefined;
  /** Whose turn it takes in the queue, and whose conversation it belongs to. */
  client: string | undefined;
  signal: AbortSignal;
  onText: (text: string) => void;
}

export interface ChatAnswer {
  finish: "stop" | "length" | "tool_calls";
  calls: { name: string; params: unknown }[];
  promptTokens: number;
  /** Of the prompt, what was there from earlier requests of the conversation. */
  cachedTokens: number;
  completionTokens: number;
}

/** A loaded model that answers. */
export interface LanguageModel extends AsyncDisposable {
  /** @throws the signal's reason, or a Failure for a conversation that does not fit */
  answer(request: ChatRequest): Promise<ChatAnswer>;
}

/** As much of a conversation as the model sees, in tokens: half an hour of talk. */
const CONTEXT_TOKENS = 4096;
/** Conversations whose state is kept, and that are answered at the same time, at the most. */
const MOST_SEQUENCES = 4;
/** How much of the free memory the conversations' states may take. */
const MEMORY_SHARE = 0.3;
/** Replies are spoken; nobody listens to more at once. */
const DEFAULT_MAX_TOKENS = 1024;

/** Loads language models, all by one instance of llama.cpp. */
export function languageModelLoader(): (local: LocalLlmModel) => Promise<LanguageModel> {
  const runtime = once(loadRuntime);
  /** @throws Failure that says why the model cannot be loaded */
  return async (local) => {
    const { library, llama, complaints } = await runtime();
    complaints.length = 0;
    let model: LlamaModel | undefined;
    try {
      model = await llama.loadModel({ modelPath: local.model });
      const context = await model.createContext({
        contextSize: { max: CONTEXT_TOKENS },
        sequences: await affordableSequences(model),
      });
      return languageModel(model, new SequencePool(library, model, context));
    } catch (error) {
      await model?.dispose();
      const why = [...new Set([...complaints, messageOf(error)])].join("; ");
      throw new Failure("unavailable", loadFailure(local, why), { cause: error });
    }
  };
}

async function loadRuntime() {
  const library = await import("node-llama-cpp").catch((cause) => {
    throw new Failure(
      "unavailable",
      "This Parley has no library for language models (node-llama-cpp): run it from its source " +
        "tree, where `npm start` installs it, or use another server for the language model.",
      { cause },
    );
  });
  const complaints: string[] = [];
  const llama = await library.getLlama({
    // Metal comes with macOS; other GPUs would need builds of hundreds of megabytes.
    gpu: process.platform === "darwin" ? "auto" : false,
    build: "never",
    skipDownload: true,
    progressLogs: false,
    maxThreads: threads(),
    logger: (level, message) => {
      if (level === "error" || level === "fatal") complaints.push(message.trim());
    },
  });
  return { library, llama, complaints };
}

function languageModel(model: LlamaModel, pool: SequencePool): LanguageModel {
  const queue = new FairQueue(pool.size);
  let anonymous = 0;
  return {
    answer: (request) => {
      const turn = request.client ?? `anonymous-${++anonymous}`;
      return queue.run(turn, () => answer(request, pool, grammars(model.llama)), request.signal);
    },
    [Symbol.asyncDispose]: () => model.dispose(),
  };
}

async function affordableSequences(model: LlamaModel): Promise<number> {
  const { free } = await model.llama.getRamState();
  // More at once than processors would only slow each other down.
  const most = Math.min(MOST_SEQUENCES, availableParallelism());
  for (let sequences = most; sequences > 1; sequences--) {
    const { cpuRam, gpuVram } = await model.fileInsights.estimateContextResourceRequirements({
      contextSize: Math.min(CONTEXT_TOKENS, model.trainContextSize),
      modelGpuLayers: model.gpuLayers,
      sequences,
    });
    if (cpuRam + gpuVram < free * MEMORY_SHARE) return sequences;
  }
  return 1;
}

type Grammars = (schema: NonNullable<ChatRequest["schema"]>) => Promise<LlamaGrammar>;

function grammars(llama: LlamaModel["llama"]): Grammars {
  return (schema) =>
    schema === "json"
      ? llama.getGrammarFor("json")
      : llama.createGrammarForJsonSchema(
          schema as Parameters<typeof llama.createGrammarForJsonSchema>[0],
        );
}

/** What node-llama-cpp says of instructions that leave no room for a conversation. */
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
  request: ChatRequest,
  pool: SequencePool,
  grammarFor: Grammars,
): Promise<ChatAnswer> {
  const grammar = request.schema === undefined ? undefined : await grammarFor(request.schema);
  const slot = pool.take(request.history, request.client);
  const before = slot.sequence.tokenMeter.getState();
  try {
    const result = await slot.chat.generateResponse(slot.historyFor(request.history), {
      onTextChunk: request.onText,
      signal: request.signal,
      maxTokens: request.maxTokens ?? DEFAULT_MAX_TOKENS,
      temperature: request.temperature,
      topP: request.topP,
      seed: request.seed,
      customStopTriggers: request.stop,
      // Thoughts are not spoken, and whoever asked waits in silence.
      budgets: { thoughtTokens: 0 },
      repeatPenalty: {
        frequencyPenalty: request.frequencyPenalty,
        presencePenalty: request.presencePenalty,
      },
      // What remains is read anew, which takes long: half of it, and half as often.
      contextShift: { size: Math.floor(slot.sequence.contextSize / 2) },
      lastEvaluationContextWindow: { history: slot.windowFor(request.history) },
      ...(grammar ? { grammar } : { functions: request.functions }),
    });
    const used = slot.sequence.tokenMeter.diff(before);
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
    pool.giveBack(slot);
  }
}
