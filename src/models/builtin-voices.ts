import type { Catalog, ModelVoice } from "../domain/catalog.ts";
import { phonemes } from "./builtin-phonemes.ts";
import { PIPER_VOICES } from "./builtin-piper-voices.ts";
import { APACHE, alsoReleased, huggingFace, MIB } from "./builtin-sources.ts";

const SUPERTONIC =
  "en ar bg cs da de el es et fi fr hi hr hu id it ja ko lt lv nl pl pt ro ru sk sl sv tr uk vi";

/** The speakers of Kokoro that were trained with most care, by the names in its metadata. */
const KOKORO = {
  "en-US": "af_heart af_bella af_nicole af_sarah am_fenrir am_michael am_puck",
  "en-GB": "bf_emma bf_isabella bm_fable bm_george",
  es: "ef_dora em_alex",
  fr: "ff_siwis",
  hi: "hf_alpha hf_beta hm_omega hm_psi",
  it: "if_sara im_nicola",
  "pt-BR": "pf_dora pm_alex pm_santa",
};

const APACHE_WITH_ESPEAK = {
  licence: "Apache-2.0; espeak-ng data GPL-3.0",
  licenceUrl: APACHE.licenceUrl,
} as const;

/** Speakers that requests name by their number. */
function numbered(names: readonly string[], language: string): ModelVoice[] {
  return names.map((name, index) => ({ id: String(index), name, language }));
}

/** Speakers from names such as `af_heart`: a letter for the language, one for the sex, a name. */
function kokoroVoices(): ModelVoice[] {
  return Object.entries(KOKORO).flatMap(([language, names]) =>
    names.split(" ").map((id) => {
      const name = id.slice(3);
      return { id, name: `${name[0]?.toUpperCase()}${name.slice(1)}`, language };
    }),
  );
}

export const VOICES: Catalog = [
  ...PIPER_VOICES,
  {
    id: "kitten-nano-en-v0.8",
    stage: "tts",
    kind: "kitten",
    size: "small",
    name: "Kitten Nano",
    about: "Eight American voices in the smallest download; lively, less clear than Piper.",
    languages: ["en-US"],
    ...APACHE_WITH_ESPEAK,
    memory: 200 * MIB,
    voices: numbered(["Bella", "Jasper", "Luna", "Bruno", "Rosie", "Hugo", "Kiki", "Leo"], "en-US"),
    files: [
      ...alsoReleased(
        "tts-models",
        "kitten-nano-en-v0_8-int8",
        huggingFace(
          "csukuangfj2/kitten-nano-en-v0_8-int8",
          "90dfe12687f7822a90e5afc5931b536ba6caf22a",
          `24370878 0ba1e21eda9c8bcc4a70ada7e0d27fefc9ba775aaa037547248ec71f9a3d9b7d model.int8.onnx
           3276800 d520519c4a3519d44fcfcd943ed0b1e3c5da5cee0eea501d922fac1a93cd24dc voices.bin
           1064 934a4188addc7665dd3410256bb622169242357fbb99d840d9351209b486dabb tokens.txt`,
        ),
      ),
      ...phonemes("en"),
    ],
  },
  {
    id: "supertonic-3",
    stage: "tts",
    kind: "supertonic",
    size: "medium",
    name: "Supertonic 3",
    about: "Ten voices that speak 31 languages; natural, and reads numbers itself.",
    languages: SUPERTONIC.split(" "),
    licence: "OpenRAIL-M, which forbids harmful uses",
    licenceUrl:
      "https://huggingface.co/Supertone/supertonic-3/blob/724fb5abbf5502583fb520898d45929e62f02c0b/LICENSE",
    attribution: "Supertonic 3 by Supertone",
    memory: 500 * MIB,
    voices: numbered(["F1", "F2", "F3", "F4", "F5", "M1", "M2", "M3", "M4", "M5"], "en"),
    files: alsoReleased(
      "tts-models",
      "sherpa-onnx-supertonic-3-tts-int8-2026-05-11",
      huggingFace(
        "csukuangfj2/sherpa-onnx-supertonic-3-tts-int8-2026-05-11",
        "cca5a0e6c96e1d2c720986bf7e75fcc81dee3ae4",
        `3700147 c3eb91414d5ff8a7a239b7fe9e34e7e2bf8a8140d8375ffb14718b1c639325db duration_predictor.int8.onnx
         36416150 c7befd5ea8c3119769e8a6c1486c4edc6a3bc8365c67621c881bbb774b9902ff text_encoder.int8.onnx
         78400833 20cd86fa5c6effedfda0e7cffe5b0569ca401c440a0c3a1d72bf39286c0db3fd vector_estimator.int8.onnx
         25991073 e923d60f53f95eb1ce235f1dc33ec56d9c057823c96fa6f8acf98f32b0da6152 vocoder.int8.onnx
         8253 42078d3aef1cd43ab43021f3c54f47d2d75ceb4e75f627f118890128b06a0d09 tts.json
         262144 8402ca48e5189a8950138580b0fff64db6f072f24ac07cd54ba8b2fbb9883b30 unicode_indexer.bin
         517168 67d5209b0ee8ce6c74105ffbe12fe6a7628aea3b4ba2fcb308a4a67938a93ce8 voice.bin`,
      ),
    ),
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
    licenceUrl:
      "https://huggingface.co/rhasspy/piper-voices/resolve/c10ece1aade47bb51c153c893d14e5bf8e5b7117/en/en_GB/cori/high/MODEL_CARD",
    memory: 400 * MIB,
    voices: [
      {
        id: "0",
        name: "Cori",
        language: "en-GB",
        sample:
          "https://huggingface.co/rhasspy/piper-voices/resolve/c10ece1aade47bb51c153c893d14e5bf8e5b7117/en/en_GB/cori/high/samples/speaker_0.mp3",
      },
    ],
    files: [
      ...huggingFace(
        "csukuangfj/vits-piper-en_GB-cori-high",
        "37f6efb503f5dc22de01bad04c9a118a99111096",
        `114219480 006bb4db48e066f7f1be91d218db3b76617a707196271694ca6455d7bbd13842 en_GB-cori-high.onnx
         940 ef3a7e4a8d1af0c9d4dc45aaae1a6242ebe24a7ed6f3d025a49eb29682784c6d tokens.txt`,
      ),
      ...phonemes("en"),
    ],
  },
  {
    id: "kokoro-v1.0",
    stage: "tts",
    kind: "kokoro",
    size: "large",
    name: "Kokoro 82M",
    about: "The most natural voices, in six languages; needs four fast cores or more.",
    languages: Object.keys(KOKORO),
    ...APACHE_WITH_ESPEAK,
    memory: 600 * MIB,
    voices: kokoroVoices(),
    files: [
      ...huggingFace(
        "csukuangfj/kokoro-int8-multi-lang-v1_0",
        "2a360693d79b88b49b88e29aec2b53577f41f206",
        `114203756 4b86207ef680e394d8343bee22dfc4c512e5c707c6d9578e3f35ab09bffd6b36 model.int8.onnx
         28200960 1c5a5b983d3d50d8586d437a51f3faa2da7919ce76a013c081e65671a3447c29 voices.bin
         687 6ebb6bb288f20f3ae8d004d3c2ca27697da27c037d75e81a60e2a6a663f95425 tokens.txt
         5956885 7daaab53a181be9885b853a8582bf1838186317e5dadacbcef9c426d6fa0da14 lexicon-us-en.txt
         6366635 c4cbb37316f62210dff52718a7afcaae24f50c032cc75ab47ae67b831d1049e7 lexicon-gb-en.txt`,
      ),
      ...phonemes("en", "es", "fr", "hi", "it", "pt"),
    ],
  },
  {
    id: "kokoro-zh-v1.1",
    stage: "tts",
    kind: "kokoro",
    size: "large",
    name: "Kokoro 82M Chinese",
    about: "A hundred Chinese voices, which also read English; needs four fast cores or more.",
    languages: ["zh", "en-US"],
    ...APACHE_WITH_ESPEAK,
    memory: 700 * MIB,
    voices: [
      { id: "zf_001", name: "Female 1", language: "zh" },
      { id: "zm_009", name: "Male 9", language: "zh" },
      { id: "af_maple", name: "Maple", language: "en-US" },
    ],
    files: [
      ...alsoReleased(
        "tts-models",
        "kokoro-int8-multi-lang-v1_1",
        huggingFace(
          "csukuangfj/kokoro-int8-multi-lang-v1_1",
          "155831f1b4ba23b1f5c058be6a61df90cefb2a37",
          `114299010 bda15858163726a492d02a9a727bc263551b86ac77f90812c4b30ff41d380e26 model.int8.onnx
           53790720 e64a5a581d8c2a350d848f51c3121657cd83aa07ed6109172177345874a7244c voices.bin
           1111 931ab2df2400cd65d580a22402024c2347ced8ae9ea300e545144b1aacc48e14 tokens.txt
           5956885 7daaab53a181be9885b853a8582bf1838186317e5dadacbcef9c426d6fa0da14 lexicon-us-en.txt
           2119465 11111d8cd695fba2ace1367a1d0a708b586e6ef5c1f9be91da5d7eef129b651c lexicon-zh.txt`,
        ),
      ),
      ...phonemes("en"),
    ],
  },
];
