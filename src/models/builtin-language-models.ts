import type { Catalog } from "../domain/catalog.ts";
import { APACHE, huggingFace, MIB } from "./builtin-sources.ts";

/** Tokens of context that the engine holds by default: four conversations of 4,096 each. */
const CONTEXT_TOKENS = 4 * 4096;
/** Buffers for the computation, besides the weights and the context. */
const BUFFERS = 150 * MIB;

/**
 * What a language model takes while it runs: its weights, and for each token of the context a key
 * and a value of 16 bits in each layer with attention.
 *
 * @param weights the size of its file, in bytes
 * @param attention its layers with attention, their key-value heads, and the numbers in each
 */
function memoryOf(weights: number, attention: [layers: number, heads: number, size: number]) {
  const [layers, heads, size] = attention;
  const bytes = weights + CONTEXT_TOKENS * layers * heads * size * 2 * 2 + BUFFERS;
  return Math.ceil(bytes / MIB) * MIB;
}

const QWEN = "en zh de es fr it pt nl pl ru uk tr ar hi ja ko vi id th sv cs ro".split(" ");

export const LANGUAGE_MODELS: Catalog = [
  {
    id: "gemma-3-1b-it",
    stage: "llm",
    kind: "gguf",
    size: "small",
    name: "Gemma 3 1B",
    about: "Small and friendly in many languages; knows few facts.",
    languages: QWEN,
    licence: "Gemma Terms of Use",
    licenceUrl: "https://ai.google.dev/gemma/terms",
    attribution:
      "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms",
    memory: memoryOf(806_058_240, [26, 1, 256]),
    files: huggingFace(
      "ggml-org/gemma-3-1b-it-GGUF",
      "f9c28bcd85737ffc5aef028638d3341d49869c27",
      "806058240 8ccc5cd1f1b3602548715ae25a66ed73fd5dc68a210412eea643eb20eb75a135 gemma-3-1b-it-Q4_K_M.gguf",
    ),
  },
  {
    id: "qwen2.5-0.5b-instruct",
    stage: "llm",
    kind: "gguf",
    size: "small",
    starter: true,
    name: "Qwen2.5 0.5B Instruct",
    about: "For machines with little memory; simple conversation, often wrong on facts.",
    languages: ["en", "zh", "de", "es", "fr", "it", "pt", "ja", "ko", "ru"],
    ...APACHE,
    memory: memoryOf(491_400_032, [24, 2, 64]),
    files: huggingFace(
      "Qwen/Qwen2.5-0.5B-Instruct-GGUF",
      "9217f5db79a29953eb74d5343926648285ec7e67",
      "491400032 74a4da8c9fdbcd15bd1f6d01d621410d31c6fc00986f5eb687824e7b93d7a9db qwen2.5-0.5b-instruct-q4_k_m.gguf",
    ),
  },
  {
    id: "lfm2.5-1.2b-instruct",
    stage: "llm",
    kind: "gguf",
    size: "medium",
    name: "LFM2.5 1.2B Instruct",
    about: "Reads long conversations about twice as fast as others of its size.",
    languages: ["en", "ar", "zh", "fr", "de", "ja", "ko", "es"],
    licence: "LFM Open License 1.0; commercial use below 10 million USD of revenue a year",
    licenceUrl: "https://huggingface.co/LiquidAI/LFM2.5-1.2B-Instruct/blob/main/LICENSE",
    memory: memoryOf(730_895_168, [6, 8, 64]),
    files: huggingFace(
      "LiquidAI/LFM2.5-1.2B-Instruct-GGUF",
      "8ed288026e23958ad9dfa92d53ed773a8eee7125",
      "730895168 b1b3de114215d9507409a662a501a631095a479a419584e8a2ded6304b19b4f5 LFM2.5-1.2B-Instruct-Q4_K_M.gguf",
    ),
  },
  {
    id: "qwen3-1.7b",
    stage: "llm",
    kind: "gguf",
    size: "medium",
    name: "Qwen3 1.7B",
    about: "Better answers than Qwen2.5 in many languages; may think before it answers.",
    languages: QWEN,
    ...APACHE,
    memory: memoryOf(1_107_409_472, [28, 8, 128]),
    files: huggingFace(
      "unsloth/Qwen3-1.7B-GGUF",
      "d7f544eead698dbd1f15126ef60b45a1e1933222",
      "1107409472 b139949c5bd74937ad8ed8c8cf3d9ffb1e99c866c823204dc42c0d91fa181897 Qwen3-1.7B-Q4_K_M.gguf",
    ),
  },
  {
    id: "qwen2.5-1.5b-instruct",
    stage: "llm",
    kind: "gguf",
    size: "medium",
    name: "Qwen2.5 1.5B Instruct",
    about: "Fast enough for conversation on an ordinary machine.",
    languages: ["en", "zh", "de", "es", "fr", "it", "pt", "ja", "ko", "ru"],
    ...APACHE,
    memory: memoryOf(1_117_320_736, [28, 2, 128]),
    files: huggingFace(
      "Qwen/Qwen2.5-1.5B-Instruct-GGUF",
      "91cad51170dc346986eccefdc2dd33a9da36ead9",
      "1117320736 6a1a2eb6d15622bf3c96857206351ba97e1af16c30d7a74ee38970e434e9407e qwen2.5-1.5b-instruct-q4_k_m.gguf",
    ),
  },
  {
    id: "qwen3-4b-instruct-2507",
    stage: "llm",
    kind: "gguf",
    size: "large",
    name: "Qwen3 4B Instruct 2507",
    about: "The best answers here, for machines with many cores.",
    languages: QWEN,
    ...APACHE,
    memory: memoryOf(2_497_281_120, [36, 8, 128]),
    files: huggingFace(
      "unsloth/Qwen3-4B-Instruct-2507-GGUF",
      "a06e946bb6b655725eafa393f4a9745d460374c9",
      "2497281120 3605803b982cb64aead44f6c1b2ae36e3acdb41d8e46c8a94c6533bc4c67e597 Qwen3-4B-Instruct-2507-Q4_K_M.gguf",
    ),
  },
  {
    id: "smollm3-3b",
    stage: "llm",
    kind: "gguf",
    size: "large",
    name: "SmolLM3 3B",
    about: "Good answers in six European languages; may think before it answers.",
    languages: ["en", "fr", "es", "de", "it", "pt"],
    ...APACHE,
    memory: memoryOf(1_915_305_312, [36, 4, 128]),
    files: huggingFace(
      "ggml-org/SmolLM3-3B-GGUF",
      "4965cb60b150737b68a0408c36aeefb65078f894",
      "1915305312 8334b850b7bd46238c16b0c550df2138f0889bf433809008cc17a8b05761863e SmolLM3-Q4_K_M.gguf",
    ),
  },
];
