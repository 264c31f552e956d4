/**
 * The hyper-parameters of a language model, as its `config.json` has them. They decide how much is
 * computed and kept; the values of the weights do not.
 */
export interface Shape {
  /** What llama.cpp calls it. */
  architecture: "llama" | "qwen2" | "qwen3" | "gemma3" | "smollm3" | "lfm2";
  layers: number;
  /** The length of a token's vector, and of the one inside a layer's feed-forward part. */
  width: number;
  feedForward: number;
  heads: number;
  kvHeads: number;
  headSize: number;
  vocabulary: number;
  contextTokens: number;
  ropeBase: number;
  /** Whether the file has a matrix of its own for the output, besides the one for the input. */
  ownOutput: boolean;
  quantisation: "Q4_K_M" | "Q4_0";
  /** The layers with attention, where the others have convolutions. */
  attentionLayers?: readonly number[];
  /** The tokens that most layers see, where not all see the whole context. */
  slidingWindow?: number;
}

const QWEN2 = {
  architecture: "qwen2",
  kvHeads: 2,
  vocabulary: 151_936,
  contextTokens: 32_768,
  ropeBase: 1e6,
  // The files of Qwen2.5 have it, although the model shares the matrix.
  ownOutput: true,
  quantisation: "Q4_K_M",
} as const;
const QWEN3 = {
  architecture: "qwen3",
  kvHeads: 8,
  headSize: 128,
  vocabulary: 151_936,
  contextTokens: 40_960,
  ropeBase: 1e6,
  ownOutput: false,
  quantisation: "Q4_K_M",
} as const;

/** By the id of the catalogue. */
export const SHAPES: Readonly<Record<string, Shape>> = {
  "qwen2.5-0.5b-instruct": {
    ...QWEN2,
    layers: 24,
    width: 896,
    feedForward: 4864,
    heads: 14,
    headSize: 64,
  },
  "qwen2.5-1.5b-instruct": {
    ...QWEN2,
    layers: 28,
    width: 1536,
    feedForward: 8960,
    heads: 12,
    headSize: 128,
  },
  "qwen3-0.6b": { ...QWEN3, layers: 28, width: 1024, feedForward: 3072, heads: 16 },
  "qwen3-1.7b": { ...QWEN3, layers: 28, width: 2048, feedForward: 6144, heads: 16 },
  "qwen3-4b-instruct-2507": {
    ...QWEN3,
    layers: 36,
    width: 2560,
    feedForward: 9728,
    heads: 32,
    contextTokens: 262_144,
    ropeBase: 5e6,
  },
  "gemma-3-1b-it": {
    architecture: "gemma3",
    layers: 26,
    width: 1152,
    feedForward: 6912,
    heads: 4,
    kvHeads: 1,
    headSize: 256,
    vocabulary: 262_144,
    contextTokens: 32_768,
    ropeBase: 1e6,
    ownOutput: false,
    quantisation: "Q4_K_M",
    slidingWindow: 512,
  },
  "smollm3-3b": {
    architecture: "smollm3",
    layers: 36,
    width: 2048,
    feedForward: 11_008,
    heads: 16,
    kvHeads: 4,
    headSize: 128,
    vocabulary: 128_256,
    contextTokens: 65_536,
    ropeBase: 5e6,
    ownOutput: false,
    quantisation: "Q4_K_M",
  },
  "lfm2.5-1.2b-instruct": {
    architecture: "lfm2",
    layers: 16,
    width: 2048,
    feedForward: 8192,
    heads: 32,
    kvHeads: 8,
    headSize: 64,
    vocabulary: 65_536,
    contextTokens: 128_000,
    ropeBase: 1e6,
    ownOutput: false,
    quantisation: "Q4_K_M",
    attentionLayers: [2, 5, 8, 10, 12, 14],
  },
};
