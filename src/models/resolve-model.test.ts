import { describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { temporaryFolder } from "../../test/database.ts";
import type { Stage } from "../domain/stage.ts";
import { onnxMetadata } from "../lib/onnx-file.ts";
import { resolveModel } from "./resolve-model.ts";

/** A folder with files of these names; the networks have this metadata and nothing else. */
function folderOf(
  name: string,
  paths: readonly string[],
  metadata: Readonly<Record<string, string>> = {},
) {
  const folder = temporaryFolder();
  const path = join(folder.path, name);
  for (const one of paths) {
    mkdirSync(dirname(join(path, one)), { recursive: true });
    writeFileSync(join(path, one), one.endsWith(".onnx") ? onnxMetadata(metadata) : "");
  }
  return { path, [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

type Parts = { kind: string } & Record<string, string | string[]>;

const PHONEMES = ["espeak-ng-data/phontab", "espeak-ng-data/en_dict"];
const KNOWN: [stage: Stage, folder: string, files: string[], parts: Parts][] = [
  [
    "stt",
    "moonshine-tiny",
    ["encoder_model.ort", "decoder_model_merged.ort", "tokens.txt"],
    {
      kind: "moonshine",
      mergedDecoder: "decoder_model_merged.ort",
      encoder: "encoder_model.ort",
    },
  ],
  [
    "stt",
    "sherpa-onnx-whisper-base.en",
    [
      "base.en-decoder.onnx",
      "base.en-decoder.int8.onnx",
      "base.en-encoder.int8.onnx",
      "base.en-encoder.onnx",
      "base.en-tokens.txt",
    ],
    {
      kind: "whisper",
      encoder: "base.en-encoder.int8.onnx",
      decoder: "base.en-decoder.int8.onnx",
      tokens: "base.en-tokens.txt",
    },
  ],
  ["llm", "llm", ["README.md", "model-q4.gguf"], { kind: "gguf", model: "model-q4.gguf" }],
  [
    "tts",
    "vits-piper-en_US-amy",
    ["en_US-amy.onnx", "en_US-amy.onnx.json", "tokens.txt", ...PHONEMES],
    { kind: "piper", model: "en_US-amy.onnx", phonemes: "espeak-ng-data" },
  ],
  [
    "tts",
    "kokoro",
    ["model.onnx", "voices.bin", "tokens.txt", ...PHONEMES],
    { kind: "kokoro", voices: "voices.bin", phonemes: "espeak-ng-data" },
  ],
  [
    "tts",
    "kokoro-multi-lang-v1_0",
    ["model.onnx", "voices.bin", "tokens.txt", "lexicon-us-en.txt", "lexicon-zh.txt", ...PHONEMES],
    { kind: "kokoro", lexicons: ["lexicon-us-en.txt", "lexicon-zh.txt"] },
  ],
  [
    "tts",
    "matcha-icefall-zh-baker",
    ["model-steps-3.onnx", "vocos-22khz-univ.onnx", "tokens.txt", "lexicon.txt", "date.fst"],
    {
      kind: "matcha",
      acousticModel: "model-steps-3.onnx",
      vocoder: "vocos-22khz-univ.onnx",
      rules: ["date.fst"],
    },
  ],
  [
    "tts",
    "sherpa-onnx-supertonic-3-tts-int8-2026-05-11",
    [
      "duration_predictor.int8.onnx",
      "text_encoder.int8.onnx",
      "vector_estimator.int8.onnx",
      "vocoder.int8.onnx",
      "tts.json",
      "unicode_indexer.bin",
      "voice.bin",
    ],
    { kind: "supertonic", textEncoder: "text_encoder.int8.onnx", voices: "voice.bin" },
  ],
  [
    "tts",
    "sherpa-onnx-pocket-tts-int8-2026-01-26",
    [
      "lm_flow.int8.onnx",
      "lm_main.int8.onnx",
      "encoder.onnx",
      "decoder.int8.onnx",
      "text_conditioner.onnx",
      "vocab.json",
      "token_scores.json",
      "test_wavs/bria.wav",
      "test_wavs/loona.wav",
    ],
    { kind: "pocket", references: ["test_wavs/bria.wav", "test_wavs/loona.wav"] },
  ],
  [
    "tts",
    "sherpa-onnx-zipvoice-distill-int8-zh-en-emilia",
    [
      "encoder.int8.onnx",
      "decoder.int8.onnx",
      "vocos_24khz.onnx",
      "tokens.txt",
      "lexicon.txt",
      "test_wavs/leijun-1.wav",
      "test_wavs/leijun-1.txt",
      ...PHONEMES,
    ],
    { kind: "zipvoice", vocoder: "vocos_24khz.onnx", transcripts: ["test_wavs/leijun-1.txt"] },
  ],
];

function placesIn(folder: string, paths: string | string[]) {
  return Array.isArray(paths) ? paths.map((path) => join(folder, path)) : join(folder, paths);
}

describe("the kind follows from the files", () => {
  test.each(KNOWN)("%s in %s", (stage, name, files, { kind, ...parts }) => {
    using folder = folderOf(name, files);
    const expected = Object.fromEntries(
      Object.entries(parts).map(([part, paths]) => [part, placesIn(folder.path, paths)]),
    );
    expect(resolveModel(stage, folder.path)).toMatchObject({ stage, kind, id: name, ...expected });
    expect(resolveModel(stage, pathToFileURL(folder.path).href)).toMatchObject({ kind });
  });
});

const TRANSDUCER = ["encoder.int8.onnx", "decoder.int8.onnx", "joiner.int8.onnx", "tokens.txt"];
const ONE_FILE = ["model.int8.onnx", "tokens.txt"];

describe("what a network says of itself decides, and no name", () => {
  test.each<[string, string[], Record<string, string>]>([
    ["streaming-transducer", TRANSDUCER, { model_type: "zipformer2", decode_chunk_len: "32" }],
    ["streaming-transducer", TRANSDUCER, { model_type: "EncDecRNNTBPEModel", chunk_shift: "56" }],
    ["transducer", TRANSDUCER, { model_type: "zipformer2" }],
    ["nemo-transducer", TRANSDUCER, { model_type: "EncDecRNNTBPEModel" }],
    ["nemo-transducer", TRANSDUCER, { vocab_size: "1024", pred_hidden: "640" }],
    ["streaming-ctc", ONE_FILE, { model_type: "zipformer2", decode_chunk_len: "32" }],
    ["zipformer-ctc", ONE_FILE, { model_type: "zipformer2_ctc" }],
    ["nemo-ctc", ONE_FILE, { model_type: "EncDecHybridRNNTCTCBPEModel" }],
    ["sense-voice", ONE_FILE, { lfr_window_size: "7", lang_auto: "0" }],
    ["canary", TRANSDUCER.toSpliced(2, 1), { model_type: "EncDecMultiTaskModel" }],
    ["whisper", TRANSDUCER.toSpliced(2, 1), { model_type: "whisper-tiny" }],
  ])("%s", (kind, files, metadata) => {
    for (const name of ["my-streaming-model", "parakeet-tdt", "x"]) {
      using folder = folderOf(name, files, metadata);
      expect(resolveModel("stt", folder.path)).toMatchObject({ stage: "stt", kind, id: name });
    }
  });

  test("a network of another kind is refused", () => {
    using folder = folderOf("m", ONE_FILE, { model_type: "vits" });
    expect(() => resolveModel("stt", folder.path)).toThrow("expected the .onnx files");
  });
});

test("noise suppression and punctuation beside a recogniser are parts of it", () => {
  const punctuation = "sherpa-onnx-online-punct-en/model.int8.onnx";
  const vocabulary = "sherpa-onnx-online-punct-en/bpe.vocab";
  const files = [...ONE_FILE, "gtcrn_simple.onnx", punctuation, vocabulary];
  using folder = folderOf("m", files, { model_type: "zipformer2_ctc" });
  expect(resolveModel("stt", folder.path)).toMatchObject({
    model: join(folder.path, "model.int8.onnx"),
    denoiser: join(folder.path, "gtcrn_simple.onnx"),
    punctuation: join(folder.path, punctuation),
    punctuationVocabulary: join(folder.path, vocabulary),
  });
});

test("a named file is the model, among several in its folder", () => {
  using folder = folderOf("models", ["a.gguf", "b.gguf"]);
  const path = join(folder.path, "b.gguf");
  expect(resolveModel("llm", path)).toEqual({ stage: "llm", kind: "gguf", id: "b", model: path });
});

test("a named voice uses the files beside it", () => {
  using folder = folderOf("voices", ["amy.onnx", "joe.onnx", "tokens.txt", ...PHONEMES]);
  const path = join(folder.path, "joe.onnx");
  expect(resolveModel("tts", path)).toMatchObject({ kind: "piper", id: "joe", model: path });
});

test.each([
  ["nothing is there", [], /LLM_MODEL names .*, which does not exist/],
  ["it holds something else", ["notes.txt"], /LLM_MODEL names .*; expected a \.gguf file/],
])("where %s the message says what was expected", (_, files, message) => {
  using folder = folderOf("m", files);
  expect(() => resolveModel("llm", folder.path)).toThrow(message);
});

test.each([
  ["a recogniser", "stt", "the .onnx files and tokens.txt of a Moonshine"],
  ["a voice", "tts", "a Piper, Kokoro"],
] as const)("a folder that is not %s is refused", (_, stage, wanted) => {
  using folder = folderOf("m", ["a.gguf"]);
  expect(() => resolveModel(stage, folder.path)).toThrow(wanted);
  expect(() => resolveModel(stage, "file://elsewhere/m")).toThrow(stage.toUpperCase());
});

test("a voice that says so of itself is Kitten's, whatever its folder is called", () => {
  const files = ["model.onnx", "voices.bin", "tokens.txt", ...PHONEMES];
  using folder = folderOf("small", files, { model_type: "kitten-tts" });
  expect(resolveModel("tts", folder.path).kind).toBe("kitten");
  using other = folderOf("kitten", files, { model_type: "kokoro" });
  expect(resolveModel("tts", other.path).kind).toBe("kokoro");
});
