import type { Catalog } from "../domain/catalog.ts";
import { APACHE, alsoReleased, CC_BY, huggingFace, MIB } from "./builtin-sources.ts";

const MIT_OF_MOONSHINE = {
  licence: "MIT",
  licenceUrl: "https://github.com/moonshine-ai/moonshine/blob/main/LICENSE",
} as const;
const MIT_OF_WHISPER = {
  licence: "MIT",
  licenceUrl: "https://github.com/openai/whisper/blob/main/LICENSE",
} as const;

/** Languages in which Whisper makes few enough errors for a conversation. */
const WHISPER = (
  "en de es fr it pt nl pl ru uk tr ar hi zh ja ko sv da nb fi cs sk hu ro bg el hr sl ca id vi " +
  "th he fa et lv lt"
).split(" ");
const PARAKEET = "bg cs da de el en es et fi fr hr hu it lt lv mt nl pl pt ro ru sk sl sv uk";

export const RECOGNISERS: Catalog = [
  {
    id: "moonshine-tiny-en",
    stage: "stt",
    kind: "moonshine",
    size: "small",
    starter: true,
    name: "Moonshine Tiny",
    about: "Fast on any machine; less accurate with unclear speech.",
    languages: ["en"],
    ...MIT_OF_MOONSHINE,
    memory: 250 * MIB,
    files: huggingFace(
      "csukuangfj2/sherpa-onnx-moonshine-tiny-en-quantized-2026-02-27",
      "d1e6c30921780b8508d04b492dfb3ce8a51605d4",
      `13281600 94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221 encoder_model.ort
       30412256 cf524c4862d36e9e5ab032eddc73637efd822d70e868ac575cf1a46e1e4708a0 decoder_model_merged.ort
       549350 2870d843e14c1e187bf1913a521562a63b53933814bd7f2145120468f494a049 tokens.txt`,
    ),
  },
  {
    id: "zipformer-en",
    stage: "stt",
    kind: "streaming-transducer",
    size: "small",
    name: "Zipformer, streaming",
    about: "Words appear during speech, in capitals and without punctuation.",
    languages: ["en"],
    ...APACHE,
    memory: 350 * MIB,
    files: huggingFace(
      "csukuangfj/sherpa-onnx-streaming-zipformer-en-2023-06-26",
      "672fbf1b30579d6585301139bb363f42a0ad4a24",
      `71083163 563fde436d16cf7607cf408cd6b30909819d03162652ef389c2450ced3f45ac1 encoder-epoch-99-avg-1-chunk-16-left-128.int8.onnx
       1307236 98da299f471e38bb4e1a8df579b8cc9122d6039576a77e357b3c60f17dd83b02 decoder-epoch-99-avg-1-chunk-16-left-128.int8.onnx
       259335 d944208d660d67c8d72cd2acaeac971fa5ceb8c80e76c1968148846fedd6e297 joiner-epoch-99-avg-1-chunk-16-left-128.int8.onnx
       5048 49e3c2646595fd907228b3c6787069658f67b17377c60aeb8619c4551b2316fb tokens.txt`,
    ),
  },
  {
    id: "whisper-base",
    stage: "stt",
    kind: "whisper",
    size: "small",
    name: "Whisper Base",
    about: "Understands many languages; makes more errors than the larger ones.",
    languages: WHISPER,
    ...MIT_OF_WHISPER,
    memory: 500 * MIB,
    files: alsoReleased(
      "asr-models",
      "sherpa-onnx-whisper-base",
      huggingFace(
        "csukuangfj/sherpa-onnx-whisper-base",
        "bb53ee204431c90d314c1cc08d28d23e5b7927cc",
        `29120534 0b8fb1304b6109976038efff5ace81720e00386f3ff6b54ee8c75291ca0a1e11 base-encoder.int8.onnx
         130672026 9759d217388a01b3a4c7c15533201067b48ae819c4daafc8624e64b9409dc02d base-decoder.int8.onnx
         816730 b34b360dbb493e781e479794586d661700670d65564001f23024971d1f2fa126 base-tokens.txt`,
      ),
    ),
  },
  {
    id: "moonshine-base-en",
    stage: "stt",
    kind: "moonshine",
    size: "medium",
    name: "Moonshine Base",
    about: "Fast, with a third fewer errors than Tiny.",
    languages: ["en"],
    ...MIT_OF_MOONSHINE,
    memory: 450 * MIB,
    files: huggingFace(
      "csukuangfj2/sherpa-onnx-moonshine-base-en-quantized-2026-02-27",
      "8f4d6c58c03d40bcea40043bb7120a878f2bbef6",
      `31326816 7c66495948d0d08ec1af454cd4b5514862ae6511e94712a60e6d83eaec8dc8cf encoder_model.ort
       109424400 d9d7b333af34bc552580576ddcf248a1c6c839e0d3b43b09afb9376ed009899d decoder_model_merged.ort
       549350 2870d843e14c1e187bf1913a521562a63b53933814bd7f2145120468f494a049 tokens.txt`,
    ),
  },
  {
    id: "sense-voice-small",
    stage: "stt",
    kind: "sense-voice",
    size: "medium",
    name: "SenseVoice Small",
    about: "Fast and accurate in Chinese, Cantonese, Japanese and Korean.",
    languages: ["zh", "yue", "ja", "ko", "en"],
    licence: "FunASR Model License 1.1",
    licenceUrl: "https://github.com/modelscope/FunASR/blob/main/MODEL_LICENSE",
    attribution:
      "SenseVoice Small by FunASR and Alibaba, converted to ONNX and quantised by k2-fsa",
    memory: 600 * MIB,
    files: alsoReleased(
      "asr-models",
      "sherpa-onnx-sense-voice-zh-en-ja-ko-yue-2024-07-17",
      huggingFace(
        "csukuangfj/sherpa-onnx-sense-voice-zh-en-ja-ko-yue-2024-07-17",
        "2365baeacb507f821a0c8120fcee3d484dba7a07",
        `239233841 c71f0ce00bec95b07744e116345e33d8cbbe08cef896382cf907bf4b51a2cd51 model.int8.onnx
         315894 f449eb28dc567533d7fa59be34e2abca8784f771850c78a47fb731a31429a1dc tokens.txt`,
      ),
    ),
  },
  {
    id: "whisper-small",
    stage: "stt",
    kind: "whisper",
    size: "medium",
    name: "Whisper Small",
    about: "Many languages, with about half the errors of Base; needs four cores or more.",
    languages: WHISPER,
    ...MIT_OF_WHISPER,
    memory: 1000 * MIB,
    files: alsoReleased(
      "asr-models",
      "sherpa-onnx-whisper-small",
      huggingFace(
        "csukuangfj/sherpa-onnx-whisper-small",
        "8f3c18b358db4d1f2fc1eae49d75cd20989e4309",
        `112442483 4cbe7b22fa9026b843b60a68640c747de05bafb1a11b57edc0e66c232d9f33a9 small-encoder.int8.onnx
         262226114 acad50b5c782696e91b55914cc5ab4f756f1532f76e22aa6fc615f39fb69a8ee small-decoder.int8.onnx
         816730 b34b360dbb493e781e479794586d661700670d65564001f23024971d1f2fa126 small-tokens.txt`,
      ),
    ),
  },
  {
    id: "parakeet-tdt-0.6b-v3",
    stage: "stt",
    kind: "nemo-transducer",
    size: "large",
    name: "Parakeet TDT 0.6B v3",
    about: "The most accurate for 25 European languages, and fast; detects the language itself.",
    languages: PARAKEET.split(" "),
    ...CC_BY,
    attribution: "Parakeet TDT 0.6B v3 by NVIDIA, converted to ONNX and quantised by k2-fsa",
    memory: 1500 * MIB,
    files: huggingFace(
      "csukuangfj/sherpa-onnx-nemo-parakeet-tdt-0.6b-v3-int8",
      "2bda32ec70b097a55adaa07d9a7173915b43cc78",
      `652184281 acfc2b4456377e15d04f0243af540b7fe7c992f8d898d751cf134c3a55fd2247 encoder.int8.onnx
       11845275 179e50c43d1a9de79c8a24149a2f9bac6eb5981823f2a2ed88d655b24248db4e decoder.int8.onnx
       6355277 3164c13fc2821009440d20fcb5fdc78bff28b4db2f8d0f0b329101719c0948b3 joiner.int8.onnx
       93939 d58544679ea4bc6ac563d1f545eb7d474bd6cfa467f0a6e2c1dc1c7d37e3c35d tokens.txt`,
    ),
  },
  {
    id: "whisper-large-v3-turbo",
    stage: "stt",
    kind: "whisper",
    size: "large",
    name: "Whisper Large v3 Turbo",
    about: "The most accurate for languages outside Europe; needs eight fast cores or more.",
    languages: WHISPER,
    ...MIT_OF_WHISPER,
    memory: 2300 * MIB,
    files: alsoReleased(
      "asr-models",
      "sherpa-onnx-whisper-turbo",
      huggingFace(
        "csukuangfj/sherpa-onnx-whisper-turbo",
        "2ca6ff69fc878651b770880507669577ac41c2ff",
        `674716297 b02dcdf54f348741e93fe732b67d933c8dcb6735655f710640143081db38878b turbo-encoder.int8.onnx
         361080764 20accd02388482eb3a46bd615631adfdc85e1eb2c7db9ea3f02a40ffe6b81547 turbo-decoder.int8.onnx
         816730 b34b360dbb493e781e479794586d661700670d65564001f23024971d1f2fa126 turbo-tokens.txt`,
      ),
    ),
  },
];
