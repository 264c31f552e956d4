import { readGgufFileInfo } from "node-llama-cpp";
import { testModels } from "../../scripts/test-models.ts";
import {
  TENSOR_TYPES,
  type Tensor,
  type TensorType,
  tensorBytes,
  type Value,
  writeGguf,
} from "./gguf.ts";
import { randomWeights, tokenWeights } from "./random-weights.ts";
import type { Shape } from "./shapes.ts";

/** How many tokens LFM2's convolutions see. */
const CONVOLUTION_TOKENS = 3;
const NORM_EPSILON = 1e-6;
/** llama.cpp's kinds of tokens: ordinary ones, and those that no text contains. */
const UNUSED_TOKEN = 5;

/**
 * Writes a language model of random weights. It is as large as the real one and computes as much, and
 * says random words without an end.
 *
 * @param path of the .gguf file
 */
export async function writeLanguageModel(path: string, shape: Shape): Promise<void> {
  const vocabulary = await vocabularyOf(shape.vocabulary);
  writeGguf(
    path,
    { ...hyperParameters(shape), ...vocabulary.metadata },
    tensorsOf(shape, vocabulary.said),
  );
}

/** The size of the tensors of a shape, in bytes; what is besides in the file are words. */
export function sizeOf(shape: Shape): number {
  return tensorsOf(shape, []).reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
}

function hyperParameters(shape: Shape): Record<string, Value> {
  const { architecture, attentionLayers } = shape;
  const kvHeads = attentionLayers
    ? {
        ints: layersOf(shape).map((layer) => (attentionLayers.includes(layer) ? shape.kvHeads : 0)),
      }
    : { int: shape.kvHeads };
  const own: Record<string, Value> = {
    block_count: { int: shape.layers },
    context_length: { int: shape.contextTokens },
    embedding_length: { int: shape.width },
    feed_forward_length: { int: shape.feedForward },
    vocab_size: { int: shape.vocabulary },
    "attention.head_count": { int: shape.heads },
    "attention.head_count_kv": kvHeads,
    "attention.key_length": { int: shape.headSize },
    "attention.value_length": { int: shape.headSize },
    "attention.layer_norm_rms_epsilon": { float: NORM_EPSILON },
    "rope.freq_base": { float: shape.ropeBase },
    "rope.dimension_count": { int: shape.headSize },
    ...(attentionLayers && { "shortconv.l_cache": { int: CONVOLUTION_TOKENS } }),
    ...(shape.slidingWindow && { "attention.sliding_window": { int: shape.slidingWindow } }),
  };
  return {
    "general.architecture": { text: architecture },
    "general.name": { text: `random weights in the shape of ${architecture}` },
    ...Object.fromEntries(Object.entries(own).map(([key, v]) => [`${architecture}.${key}`, v])),
  };
}

function tensorsOf(shape: Shape, said: readonly boolean[]): Tensor[] {
  const { width, vocabulary, ownOutput, architecture } = shape;
  // In LFM2's files the last norm has the name of another one.
  const lastNorm = architecture === "lfm2" ? "token_embd_norm" : "output_norm";
  const input = matrix(
    "token_embd",
    width,
    vocabulary,
    typeOf(shape, ownOutput ? "some" : "output"),
  );
  const output = matrix("output", width, vocabulary, typeOf(shape, "output"));
  const words = ownOutput ? output : input;
  words.data = () => tokenWeights(words.type, tensorBytes(words) / vocabulary, said);
  return [
    input,
    vector(lastNorm, width),
    ...(ownOutput ? [output] : []),
    ...layersOf(shape).flatMap((layer) => layerTensors(shape, layer)),
  ];
}

function layerTensors(shape: Shape, layer: number): Tensor[] {
  const { width, feedForward, architecture, attentionLayers } = shape;
  const name = (part: string) => `blk.${layer}.${part}`;
  const some = typeOf(shape, "some");
  const hasAttention = attentionLayers?.includes(layer) ?? true;
  return [
    vector(name("attn_norm"), width),
    ...(hasAttention ? attentionTensors(shape, layer, name) : convolutionTensors(shape, name)),
    ...(architecture === "gemma3"
      ? [vector(name("post_attention_norm"), width), vector(name("post_ffw_norm"), width)]
      : []),
    vector(name("ffn_norm"), width),
    matrix(name("ffn_gate"), width, feedForward, some),
    matrix(name("ffn_up"), width, feedForward, some),
    matrix(
      name("ffn_down"),
      feedForward,
      width,
      quantised(shape, getsMoreBits(layer, shape.layers) ? "Q6_K" : "Q4_K", feedForward),
    ),
  ];
}

function attentionTensors(shape: Shape, layer: number, name: (part: string) => string): Tensor[] {
  const { width, heads, kvHeads, headSize, architecture } = shape;
  const some = typeOf(shape, "some");
  const withAttention = shape.attentionLayers ?? layersOf(shape);
  const valueType = getsMoreBits(withAttention.indexOf(layer), withAttention.length);
  return [
    matrix(name("attn_q"), width, heads * headSize, some),
    matrix(name("attn_k"), width, kvHeads * headSize, some),
    matrix(
      name("attn_v"),
      width,
      kvHeads * headSize,
      quantised(shape, valueType ? "Q6_K" : "Q4_K", width),
    ),
    matrix(
      name("attn_output"),
      heads * headSize,
      width,
      quantised(shape, "Q4_K", heads * headSize),
    ),
    ...(architecture === "qwen2"
      ? [
          vector(name("attn_q"), heads * headSize, "bias"),
          vector(name("attn_k"), kvHeads * headSize, "bias"),
          vector(name("attn_v"), kvHeads * headSize, "bias"),
        ]
      : []),
    ...(["qwen3", "gemma3", "lfm2"].includes(architecture)
      ? [vector(name("attn_q_norm"), headSize), vector(name("attn_k_norm"), headSize)]
      : []),
  ];
}

function convolutionTensors({ width, ...shape }: Shape, name: (part: string) => string): Tensor[] {
  const type = quantised(shape, "Q4_K", width);
  return [
    tensor(name("shortconv.conv.weight"), [CONVOLUTION_TOKENS, width], "F32"),
    matrix(name("shortconv.in_proj"), width, 3 * width, type),
    matrix(name("shortconv.out_proj"), width, width, type),
  ];
}

function layersOf({ layers }: Shape): number[] {
  return Array.from({ length: layers }, (_, layer) => layer);
}

/** Which layers Q4_K_M gives more bits (`use_more_bits` in llama.cpp's `llama-quant.cpp`). */
function getsMoreBits(layer: number, layers: number): boolean {
  const eighth = Math.floor(layers / 8);
  return layer < eighth || layer >= Math.floor((7 * layers) / 8) || (layer - eighth) % 3 === 2;
}

/** The type of a matrix whose rows are as long as a token's vector. */
function typeOf(shape: Shape, of: "output" | "some"): TensorType {
  return quantised(shape, of === "output" ? "Q6_K" : "Q4_K", shape.width);
}

/** Blocks of 256 weights do not fit into every row; llama.cpp then takes types with blocks of 32. */
function quantised(
  { quantisation }: Pick<Shape, "quantisation">,
  type: "Q4_K" | "Q6_K",
  row: number,
): TensorType {
  if (quantisation === "Q4_0" && type === "Q4_K") return "Q4_0";
  if (row % TENSOR_TYPES[type].weights === 0) return type;
  return type === "Q4_K" ? "Q5_0" : "Q8_0";
}

function matrix(name: string, row: number, rows: number, type: TensorType): Tensor {
  return tensor(`${name}.weight`, [row, rows], type);
}

function vector(name: string, length: number, part: "weight" | "bias" = "weight"): Tensor {
  return tensor(`${name}.${part}`, [length], "F32");
}

function tensor(name: string, dimensions: number[], type: TensorType): Tensor {
  const bytes = tensorBytes({ name, dimensions, type });
  return { name, dimensions, type, data: () => randomWeights(type, bytes) };
}

interface Vocabulary {
  metadata: Record<string, Value>;
  /** Which tokens are whole words. */
  said: boolean[];
}

/** The words of the small model of the tests, and as many tokens more as are missing. */
async function vocabularyOf(size: number): Promise<Vocabulary> {
  const { metadata } = await readGgufFileInfo((await testModels()).llm.model);
  const { ggml, chat_template } = metadata.tokenizer;
  const missing = Array.from({ length: size - ggml.tokens.length }, (_, i) => `<|unused-${i}|>`);
  const tokens = [...ggml.tokens, ...missing];
  return {
    said: tokens.map((token) => /^Ġ[a-z]+$/.test(token)),
    metadata: {
      "tokenizer.ggml.model": { text: ggml.model },
      "tokenizer.ggml.pre": { text: String(ggml.pre) },
      "tokenizer.ggml.tokens": { texts: tokens },
      "tokenizer.ggml.token_type": {
        ints: [...(ggml.token_type ?? []), ...missing.map(() => UNUSED_TOKEN)],
      },
      "tokenizer.ggml.merges": { texts: ggml.merges ?? [] },
      "tokenizer.ggml.bos_token_id": { int: ggml.bos_token_id ?? 1 },
      "tokenizer.ggml.eos_token_id": { int: ggml.eos_token_id ?? 2 },
      "tokenizer.chat_template": { text: String(chat_template) },
    },
  };
}
