import { randomInt } from "node:crypto";
import type {
  LlamaChatResponseFunctionCallParamsChunk,
  LlamaGrammar,
  LlamaModel,
  TokenBias,
} from "node-llama-cpp";
import type { AnswerRequest } from "./language-model.ts";
import { refusal } from "./openai-http.ts";
import type { Prompt } from "./prompt.ts";
import type { PromptReader } from "./prompt-reader.ts";
import type { Slot } from "./sequence-pool.ts";

type Library = typeof import("node-llama-cpp");

/** A part of the arguments of a tool call. */
export interface CallChunk {
  /** The place of the call among those of the answer. */
  index: number;
  name: string;
  /** A part of the arguments in JSON. */
  text: string;
}

/** Who waits for an answer. */
export interface Listener {
  signal: AbortSignal;
  onText: (text: string) => void;
  onCall: (chunk: CallChunk) => void;
  /** Gets the number of tokens of the prompt that have been read. */
  onProgress: (read: number) => void;
}

export interface Answer {
  text: string;
  finish: "stop" | "length" | "tool_calls";
  calls: { name: string; params: unknown }[];
  promptTokens: number;
  /** Tokens of the prompt that were in the KV cache from earlier requests of the conversation. */
  cachedTokens: number;
  completionTokens: number;
  /** How long it took to read the prompt, and to write the answer, in ms. */
  promptMs: number;
  completionMs: number;
}

const FINISH = {
  eogToken: "stop",
  stopGenerationTrigger: "stop",
  customStopTrigger: "stop",
  abort: "stop",
  functionCalls: "tool_calls",
  maxTokens: "length",
} as const;

/** Tokens that the beginning of a call or of a form may add to a prompt. */
const SPARE_TOKENS = 16;
/** llama.cpp takes the largest number of 32 bits for no seed. */
const MAX_SEED = 2 ** 32 - 2;

/** What an answer is made with. */
export interface Means {
  library: Library;
  reader: PromptReader;
  contextTokens: number;
  grammar: LlamaGrammar | undefined;
  bias: TokenBias | undefined;
}

/**
 * Reads a prompt and writes the answer. It ends at the end of the context at the latest.
 *
 * @throws the signal's reason; what was read stays in the KV cache
 */
export async function answer(
  request: AnswerRequest & { client: string },
  prompt: Prompt,
  { sequence }: Slot,
  { library, reader, contextTokens, grammar, bias }: Means,
  { signal, onText, onCall, onProgress }: Listener,
): Promise<Answer> {
  const { tokens, items, chatWrapper } = prompt;
  // The last token is read with the answer, since its result is the first token of it.
  const reading = await reader.read(
    sequence,
    tokens.slice(0, -1),
    request.client,
    signal,
    onProgress,
  );
  const result = {
    text: "",
    calls: [],
    promptTokens: tokens.length,
    cachedTokens: reading.cached,
    promptMs: reading.tookMs,
  };
  if (request.maxTokens === 0) {
    return { ...result, finish: "length", completionTokens: 0, completionMs: 0 };
  }
  const room = contextTokens - tokens.length - SPARE_TOKENS;
  const before = sequence.tokenMeter.getState();
  const begun = performance.now();
  const chat = new library.LlamaChat({ contextSequence: sequence, chatWrapper });
  using _speaking = reader.speak();
  try {
    const response = await chat.generateResponse(structuredClone(items), {
      onTextChunk: onText,
      onToken: () => reader.progressed(),
      signal,
      maxTokens: Math.max(1, Math.min(request.maxTokens ?? room, room)),
      temperature: request.temperature,
      topP: request.topP,
      seed: seedOf(request.seed),
      customStopTriggers: request.stop,
      tokenBias: bias,
      // Reasoning is not spoken: the listener would wait for it in silence.
      budgets: { thoughtTokens: 0 },
      repeatPenalty: {
        frequencyPenalty: request.frequencyPenalty,
        presencePenalty: request.presencePenalty,
      },
      ...(grammar
        ? { grammar }
        : {
            functions: request.functions,
            maxParallelFunctionCalls: request.maxCalls,
            onFunctionCallParamsChunk: (chunk) => onCall(callChunk(chunk)),
          }),
    });
    return {
      ...result,
      text: response.response,
      finish: FINISH[response.metadata.stopReason],
      calls: (response.functionCalls ?? []).map(({ functionName, params }) => ({
        name: functionName,
        params,
      })),
      completionTokens: sequence.tokenMeter.diff(before).usedOutputTokens,
      completionMs: performance.now() - begun,
    };
  } finally {
    chat.dispose({ disposeSequence: false });
  }
}

function callChunk(chunk: LlamaChatResponseFunctionCallParamsChunk): CallChunk {
  return { index: chunk.callIndex, name: chunk.functionName, text: chunk.paramsChunk };
}

/** Without a seed each answer has its own; OpenAI's may have more bits than llama.cpp's. */
function seedOf(seed: number | undefined): number {
  if (seed === undefined) return randomInt(MAX_SEED);
  return Number(BigInt.asUintN(32, BigInt(seed)) % BigInt(MAX_SEED));
}

/** @throws Failure `invalid` for a token that the model does not have */
export function tokenBias(
  library: Library,
  model: LlamaModel,
  biases: AnswerRequest["biases"],
): TokenBias | undefined {
  if (biases.length === 0) return undefined;
  const tokens = [...model.iterateAllTokens()];
  const result = library.TokenBias.for(model);
  for (const [index, logit] of biases) {
    const token = tokens[index];
    if (token === undefined) {
      const message = `logit_bias: this model has ${tokens.length} tokens, and no number ${index}.`;
      throw refusal("invalid", message, { param: "logit_bias" });
    }
    result.set(token, { logit });
  }
  return result;
}
