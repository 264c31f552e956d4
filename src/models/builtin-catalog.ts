import type { Catalog, ModelFile } from "../domain/catalog.ts";

const HUGGING_FACE = "https://huggingface.co";
const MIB = 2 ** 20;

/** A file's path in the repository and in the model's folder, its size in bytes and its SHA-256. */
type Pinned = [path: string, bytes: number, sha256: string];

/** Files of a Hugging Face repository at one revision. */
function from(repository: string, revision: string, files: readonly Pinned[]): ModelFile[] {
  return files.map(([path, bytes, sha256]) => ({
    path,
    sources: [{ url: `${HUGGING_FACE}/${repository}/resolve/${revision}/${path}` }],
    bytes,
    sha256,
  }));
}

/** The data with which espeak-ng turns English into phonemes, as sherpa-onnx publishes it. */
const ENGLISH_PHONEMES = from(
  "csukuangfj/kokoro-multi-lang-v1_0",
  "f7b96bb6bef5c5da4d3aa4f4e0498fbbf62dc78b",
  [
    [
      "espeak-ng-data/phondata",
      550_424,
      "4e0288957874029a8c3c9f41a8f517ad4bf18127046decbdd4b9d1d6807ce3a3",
    ],
    [
      "espeak-ng-data/phondata-manifest",
      21_821,
      "7b387af0702c7cf0b61f0bead68feded0bd8e1620729b0b252e76acbc30d3813",
    ],
    [
      "espeak-ng-data/phonindex",
      39_074,
      "3ca7b8fa3b42624e4b0f152707e7a39245fce569aa99ea47c055d9e622fcf0c4",
    ],
    [
      "espeak-ng-data/phontab",
      55_796,
      "886f3fa402cb0ba73d483aa8ad000af47a6b7cc06293c75a97913fba68a530f6",
    ],
    [
      "espeak-ng-data/intonations",
      2040,
      "3f8af65fd3eda9759a10f021d61361c120871f463515229c925995c7f90918cc",
    ],
    [
      "espeak-ng-data/en_dict",
      166_944,
      "71bd330ba8a2e3e8076e631508208ef49449d6147c17b7bd2b4b1e1468292e35",
    ],
    [
      "espeak-ng-data/lang/gmw/en",
      140,
      "4605d5330801de3641c6e366d15f129ea1f5ffbce8722642aba01ace07ab9c83",
    ],
    [
      "espeak-ng-data/lang/gmw/en-US",
      257,
      "41534c2a22df5dd4f1052ff9e1a33a3ea7bff5a26b5c02bdad5ba8ddb7524704",
    ],
    [
      "espeak-ng-data/lang/gmw/en-GB-x-rp",
      249,
      "d0625af7f58561b1b8cf96fd7f93eee6553bcb3eadb9020ae0757bf96e5115e5",
    ],
  ],
);

/** The built-in catalogue; sizes and hashes are those that the sources publish. */
export const BUILTIN_CATALOG: Catalog = [
  {
    id: "moonshine-tiny-en",
    stage: "stt",
    kind: "moonshine",
    size: "small",
    name: "Moonshine Tiny",
    about: "Fast on any machine; less accurate with unclear speech.",
    languages: ["en"],
    licence: "MIT",
    memory: 250 * MIB,
    files: from(
      "csukuangfj2/sherpa-onnx-moonshine-tiny-en-quantized-2026-02-27",
      "d1e6c30921780b8508d04b492dfb3ce8a51605d4",
      [
        [
          "encoder_model.ort",
          13_281_600,
          "94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221",
        ],
        [
          "decoder_model_merged.ort",
          30_412_256,
          "cf524c4862d36e9e5ab032eddc73637efd822d70e868ac575cf1a46e1e4708a0",
        ],
        ["tokens.txt", 549_350, "2870d843e14c1e187bf1913a521562a63b53933814bd7f2145120468f494a049"],
      ],
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
    licence: "Apache-2.0",
    memory: 350 * MIB,
    files: from(
      "csukuangfj/sherpa-onnx-streaming-zipformer-en-2023-06-26",
      "672fbf1b30579d6585301139bb363f42a0ad4a24",
      [
        [
          "encoder-epoch-99-avg-1-chunk-16-left-128.int8.onnx",
          71_083_163,
          "563fde436d16cf7607cf408cd6b30909819d03162652ef389c2450ced3f45ac1",
        ],
        [
          "decoder-epoch-99-avg-1-chunk-16-left-128.int8.onnx",
          1_307_236,
          "98da299f471e38bb4e1a8df579b8cc9122d6039576a77e357b3c60f17dd83b02",
        ],
        [
          "joiner-epoch-99-avg-1-chunk-16-left-128.int8.onnx",
          259_335,
          "d944208d660d67c8d72cd2acaeac971fa5ceb8c80e76c1968148846fedd6e297",
        ],
        ["tokens.txt", 5048, "49e3c2646595fd907228b3c6787069658f67b17377c60aeb8619c4551b2316fb"],
      ],
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
    licence: "MIT",
    memory: 450 * MIB,
    files: from(
      "csukuangfj2/sherpa-onnx-moonshine-base-en-quantized-2026-02-27",
      "8f4d6c58c03d40bcea40043bb7120a878f2bbef6",
      [
        [
          "encoder_model.ort",
          31_326_816,
          "7c66495948d0d08ec1af454cd4b5514862ae6511e94712a60e6d83eaec8dc8cf",
        ],
        [
          "decoder_model_merged.ort",
          109_424_400,
          "d9d7b333af34bc552580576ddcf248a1c6c839e0d3b43b09afb9376ed009899d",
        ],
        ["tokens.txt", 549_350, "2870d843e14c1e187bf1913a521562a63b53933814bd7f2145120468f494a049"],
      ],
    ),
  },
  {
    id: "parakeet-tdt-0.6b-v3",
    stage: "stt",
    kind: "nemo-transducer",
    size: "large",
    name: "Parakeet TDT 0.6B v3",
    about: "25 European languages; detects the language itself.",
    languages: [
      ...["bg", "cs", "da", "de", "el", "en", "es", "et", "fi", "fr", "hr", "hu", "it", "lt"],
      ...["lv", "mt", "nl", "pl", "pt", "ro", "ru", "sk", "sl", "sv", "uk"],
    ],
    licence: "CC-BY-4.0",
    memory: 1500 * MIB,
    files: from(
      "csukuangfj/sherpa-onnx-nemo-parakeet-tdt-0.6b-v3-int8",
      "2bda32ec70b097a55adaa07d9a7173915b43cc78",
      [
        [
          "encoder.int8.onnx",
          652_184_281,
          "acfc2b4456377e15d04f0243af540b7fe7c992f8d898d751cf134c3a55fd2247",
        ],
        [
          "decoder.int8.onnx",
          11_845_275,
          "179e50c43d1a9de79c8a24149a2f9bac6eb5981823f2a2ed88d655b24248db4e",
        ],
        [
          "joiner.int8.onnx",
          6_355_277,
          "3164c13fc2821009440d20fcb5fdc78bff28b4db2f8d0f0b329101719c0948b3",
        ],
        ["tokens.txt", 93_939, "d58544679ea4bc6ac563d1f545eb7d474bd6cfa467f0a6e2c1dc1c7d37e3c35d"],
      ],
    ),
  },
  {
    id: "qwen2.5-0.5b-instruct",
    stage: "llm",
    kind: "gguf",
    size: "small",
    name: "Qwen2.5 0.5B Instruct",
    about: "For machines with little memory; simple conversation, often wrong on facts.",
    languages: ["en", "zh", "de", "es", "fr", "it", "pt", "ja", "ko", "ru"],
    licence: "Apache-2.0",
    memory: 900 * MIB,
    files: from("Qwen/Qwen2.5-0.5B-Instruct-GGUF", "9217f5db79a29953eb74d5343926648285ec7e67", [
      [
        "qwen2.5-0.5b-instruct-q4_k_m.gguf",
        491_400_032,
        "74a4da8c9fdbcd15bd1f6d01d621410d31c6fc00986f5eb687824e7b93d7a9db",
      ],
    ]),
  },
  {
    id: "qwen2.5-1.5b-instruct",
    stage: "llm",
    kind: "gguf",
    size: "medium",
    name: "Qwen2.5 1.5B Instruct",
    about: "Fast enough for conversation on an ordinary machine.",
    languages: ["en", "zh", "de", "es", "fr", "it", "pt", "ja", "ko", "ru"],
    licence: "Apache-2.0",
    memory: 1800 * MIB,
    files: from("Qwen/Qwen2.5-1.5B-Instruct-GGUF", "91cad51170dc346986eccefdc2dd33a9da36ead9", [
      [
        "qwen2.5-1.5b-instruct-q4_k_m.gguf",
        1_117_320_736,
        "6a1a2eb6d15622bf3c96857206351ba97e1af16c30d7a74ee38970e434e9407e",
      ],
    ]),
  },
  {
    id: "qwen3-4b-instruct-2507",
    stage: "llm",
    kind: "gguf",
    size: "large",
    name: "Qwen3 4B Instruct 2507",
    about: "Better answers, for machines with many cores.",
    languages: ["en", "zh", "de", "es", "fr", "it", "pt", "ja", "ko", "ru"],
    licence: "Apache-2.0",
    memory: 4000 * MIB,
    files: from("unsloth/Qwen3-4B-Instruct-2507-GGUF", "a06e946bb6b655725eafa393f4a9745d460374c9", [
      [
        "Qwen3-4B-Instruct-2507-Q4_K_M.gguf",
        2_497_281_120,
        "3605803b982cb64aead44f6c1b2ae36e3acdb41d8e46c8a94c6533bc4c67e597",
      ],
    ]),
  },
  {
    id: "piper-en-us-ljspeech-medium",
    stage: "tts",
    kind: "piper",
    size: "small",
    name: "Piper LJ Speech",
    about: "American, female; fast on any machine.",
    languages: ["en-US"],
    licence: "MIT; recordings in the public domain; espeak-ng data GPL-3.0",
    memory: 250 * MIB,
    files: [
      ...from("csukuangfj/vits-piper-en_US-ljspeech-medium", "main", [
        [
          "en_US-ljspeech-medium.onnx",
          63_531_507,
          "8ceba58a4b540d4e7e7e24ad079cf0d92762a4fd334e059f12940787c6c37b3d",
        ],
        ["tokens.txt", 940, "ef3a7e4a8d1af0c9d4dc45aaae1a6242ebe24a7ed6f3d025a49eb29682784c6d"],
      ]),
      ...ENGLISH_PHONEMES,
    ],
  },
  {
    id: "piper-en-gb-cori-high",
    stage: "tts",
    kind: "piper",
    size: "medium",
    name: "Piper Cori",
    about: "British, female; clearer, about three times slower.",
    languages: ["en-GB"],
    licence: "MIT; recordings in the public domain; espeak-ng data GPL-3.0",
    memory: 400 * MIB,
    files: [
      ...from("csukuangfj/vits-piper-en_GB-cori-high", "37f6efb503f5dc22de01bad04c9a118a99111096", [
        [
          "en_GB-cori-high.onnx",
          114_219_480,
          "006bb4db48e066f7f1be91d218db3b76617a707196271694ca6455d7bbd13842",
        ],
        ["tokens.txt", 940, "ef3a7e4a8d1af0c9d4dc45aaae1a6242ebe24a7ed6f3d025a49eb29682784c6d"],
      ]),
      ...ENGLISH_PHONEMES,
    ],
  },
  {
    id: "kokoro-en-v0.19",
    stage: "tts",
    kind: "kokoro",
    size: "large",
    name: "Kokoro 82M",
    about: "Eleven American and British voices; needs four fast cores or more.",
    languages: ["en-US", "en-GB"],
    licence: "Apache-2.0; espeak-ng data GPL-3.0",
    memory: 900 * MIB,
    files: [
      ...from("csukuangfj/kokoro-en-v0_19", "92805c485745946a0d945562d3aba19e7cbb2104", [
        [
          "model.onnx",
          345_555_491,
          "10ff414106a038ce7e9e0126c6461e4dc8a86efaa89dc91d2009d69fe635e339",
        ],
        [
          "voices.bin",
          5_755_904,
          "a372c67b056ef0b695c375d39b99630d23fb07ad4c8d87aa32a19a62fca523ad",
        ],
        ["tokens.txt", 1078, "4f31c71282d14af4e926cd12462078fe9d20d00c589e63fe2750a8f56d6d7f7b"],
      ]),
      ...ENGLISH_PHONEMES,
    ],
  },
];
